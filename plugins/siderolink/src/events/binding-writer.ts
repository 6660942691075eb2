import { isDeepStrictEqual } from 'node:util';
import { type ResourceClient, type ServerBinding, ServerBindingKind } from '@sidero/core';
import { linkAddress, type LinkedMachine } from '../machines/linked-machine.ts';
import type { Effect } from './effect-of.ts';
import { isReplay } from './event-order.ts';

/** What an event wants written, and from where it came. */
export interface BindingWrite {
  readonly machine: LinkedMachine;
  readonly address: string;
  readonly eventId: string;
  readonly effect: Effect;
}

/** What became of it. `moved`: the address is another machine's now, or of another boot. */
export type WriteOutcome = 'applied' | 'unchanged' | 'replayed' | 'moved';

/**
 * Writes what an event says into the binding of its machine, unless something newer stands there.
 * @throws SIDERO_RESOURCE_MISSING when the binding is gone, and what `change` throws
 */
export async function writeBinding(resources: ResourceClient, write: BindingWrite): Promise<WriteOutcome> {
  let outcome: WriteOutcome = 'unchanged';
  await resources.change(ServerBindingKind, { name: write.machine.uuid }, (draft) => {
    outcome = edit(draft, write);
    return outcome === 'applied' ? undefined : false;
  });
  return outcome;
}

function edit(draft: ServerBinding, { machine, address, eventId, effect }: BindingWrite): WriteOutcome {
  const boot = draft.spec?.siderolink?.publicKey ?? '';
  if (linkAddress(draft) !== address || boot !== machine.key) return 'moved';
  const event = { id: eventId, boot };
  if (isReplay(event, lastEventOf(draft))) return 'replayed';
  const before = structuredClone(draft);
  effect(draft);
  if (isDeepStrictEqual(draft, before)) return 'unchanged';
  // Written with the conditions, in one call: one is never there without the other.
  draft.status = { ...draft.status, talosEvent: event };
  return 'applied';
}

function lastEventOf({ status }: ServerBinding): { readonly id: string; readonly boot: string } | undefined {
  const { id, boot } = status?.talosEvent ?? {};
  return id === undefined || boot === undefined ? undefined : { id, boot };
}
