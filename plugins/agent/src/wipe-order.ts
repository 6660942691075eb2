import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Hold, WipePlan } from '@sidero/core';
import type { CreateServerRequest, WipePlanSchema } from './agent_pb.ts';

/** What an agent is ordered to do to its disks; with `hold`, nothing. `unable` when the agent cannot do what is planned. */
export type WipeOrder =
  | {
      readonly wipe: true;
      readonly insecure: boolean;
      /** Only for an agent that works disk by disk; it says more than `insecure`. */
      readonly wipePlan?: MessageInitShape<typeof WipePlanSchema>;
    }
  | { readonly wipe: false; readonly hold: string; readonly unable: boolean };

/** What an agent can do. The original's says nothing of itself, and can wipe every disk by one method. */
export function abilitiesOf({ agentVersion, capabilities }: Pick<CreateServerRequest, 'agentVersion' | 'capabilities'>): ReadonlySet<string> {
  return new Set(agentVersion === '' ? ['wipe'] : capabilities);
}

/** Turns a plan into the order that fits on the wire, or says why none does. */
export function wipeOrderOf(plan: WipePlan | Hold, abilities: ReadonlySet<string>): WipeOrder {
  if ('hold' in plan) return { wipe: false, hold: plan.hold, unable: false };
  if (abilities.has('wipe-plan')) return byDisk(plan, abilities);
  if (!abilities.has('wipe')) return unable('cannot wipe disks');
  if (plan.disks.length > 0) return unable('cannot treat single disks differently, as the plan does');
  if (plan.method !== 'insecure' && plan.method !== 'zero') return unable(`cannot wipe by ${plan.method}`);
  return { wipe: true, insecure: plan.method === 'insecure' };
}

function byDisk(plan: WipePlan, abilities: ReadonlySet<string>): WipeOrder {
  const methods = [plan.method, ...plan.disks.map(({ method }) => method)];
  const strange = methods.find((method) => method !== 'keep' && !abilities.has(`wipe:${method}`));
  if (strange) return unable(`cannot wipe by ${strange}`);
  const rules = plan.disks.map(({ serial = '', wwn = '', method, reason }) => ({ serial, wwn, method, reason }));
  return { wipe: true, insecure: plan.method === 'insecure', wipePlan: { method: plan.method, rules } };
}

function unable(clause: string): WipeOrder {
  return { wipe: false, hold: `the agent on the machine ${clause}`, unable: true };
}
