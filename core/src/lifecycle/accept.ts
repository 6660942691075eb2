import type { Verdict } from '../hooks.ts';
import type { Server } from '../resources/kinds.ts';
import type { StageContext } from './context.ts';
import { FENCE_ANNOTATION } from './fence.ts';

/** Asks the plugins whether a Server may be used; silence is no. Changes nothing. */
export async function accept({ hooks }: StageContext, server: Server): Promise<Verdict> {
  if (server.spec?.accepted) return { accepted: true, reason: 'it was accepted before' };
  // Only what was accepted has a fence. No plugin sets aside what a person has decided: it would be wiped.
  if (server.metadata.annotations?.[FENCE_ANNOTATION]) return { accepted: false, reason: 'a person has withdrawn its acceptance' };
  return (await hooks.accept.promise(server)) ?? { accepted: false, reason: 'no plugin accepts it; set spec.accepted to true to accept it by hand' };
}
