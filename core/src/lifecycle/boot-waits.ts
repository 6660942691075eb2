import type { BootFacts, BootPlan, BootRequest } from '../hooks.ts';
import type { StageContext } from './context.ts';

/** How often a machine that goes on waiting for the same is told of. */
const AGAIN_MS = 10 * 60_000;
/** Machines that are remembered; the longest unheard are forgotten. */
const REMEMBERED = 4096;

type Wait = Extract<BootPlan, { target: 'wait' }>;

/** A machine that asks, and what is known of it. */
export interface Asking {
  readonly request: BootRequest;
  readonly facts: BootFacts;
}

/**
 * Tells, as an Event, that a machine nobody has a claim on waits at its boot prompt; of the others their claim's owner tells. It asks every
 * few seconds: so once for each reason, and again after a while. Gives whether that is now.
 */
export function createWaitTeller({ resources, now }: StageContext): (wait: Wait, asking: Asking) => boolean {
  const told = new Map<string, { readonly reason: string; readonly atMs: number }>();
  return ({ reason, status }, { request, facts: { server, binding } }) => {
    const [before, atMs] = [told.get(request.uuid), now().getTime()];
    if (before?.reason === reason && atMs - before.atMs < AGAIN_MS) return false;
    told.delete(request.uuid);
    told.set(request.uuid, { reason, atMs });
    for (const uuid of told.keys()) {
      if (told.size <= REMEMBERED) break;
      told.delete(uuid);
    }
    const message = `The machine at ${request.address} asks what to boot, and has to wait: ${reason}.`;
    // 429: who asks too often, or in the name of another, has Events of his own.
    if (server && !binding && status !== 429) void resources.record(server, { type: 'Warning', reason: 'Server Boot', message });
    return true;
  };
}
