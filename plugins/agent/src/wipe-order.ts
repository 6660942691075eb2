import type { Hold, WipePlan } from '@sidero/core';
import type { CreateServerRequest } from './agent_pb.ts';

/** What an agent is ordered to do to its disks; with `hold`, nothing. `unable` when the agent cannot do what is planned. */
export type WipeOrder =
  | { readonly wipe: true; readonly insecure: boolean }
  | { readonly wipe: false; readonly hold: string; readonly unable: boolean };

/** What an agent can do. The original's says nothing of itself, and can wipe every disk by one method. */
export function abilitiesOf({ agentVersion, capabilities }: Pick<CreateServerRequest, 'agentVersion' | 'capabilities'>): ReadonlySet<string> {
  return new Set(agentVersion === '' ? ['wipe'] : capabilities);
}

/** Turns a plan into the order that fits on the wire, or says why none does. */
export function wipeOrderOf(plan: WipePlan | Hold, abilities: ReadonlySet<string>): WipeOrder {
  if ('hold' in plan) return { wipe: false, hold: plan.hold, unable: false };
  if (!abilities.has('wipe')) return { wipe: false, hold: 'the agent on the machine cannot wipe disks', unable: true };
  if (plan.disks.length > 0)
    return { wipe: false, hold: 'the agent on the machine cannot treat single disks differently, as the plan does', unable: true };
  if (plan.method !== 'insecure' && plan.method !== 'zero')
    return { wipe: false, hold: `the agent on the machine cannot wipe by ${plan.method}`, unable: true };
  return { wipe: true, insecure: plan.method === 'insecure' };
}
