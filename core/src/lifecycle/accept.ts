import type { Verdict } from '../hooks.ts';
import type { Server } from '../resources/kinds.ts';
import type { StageContext } from './context.ts';

/** Asks the plugins whether a Server may be used; silence is no. Changes nothing. */
export async function accept({ hooks }: StageContext, server: Server): Promise<Verdict> {
  if (server.spec?.accepted) return { accepted: true, reason: 'it was accepted before' };
  return (await hooks.accept.promise(server)) ?? { accepted: false, reason: 'no plugin accepts it; set spec.accepted to true to accept it by hand' };
}
