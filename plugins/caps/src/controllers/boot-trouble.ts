import { type BootPlan, type BootRequest, environmentNameOf, type ResourceClient } from '@sidero/core';
import { boundMachine, type BoundServer, lookedAt } from '../bound-machine.ts';
import { COMPONENT } from './contract.ts';
import type { Reminders } from './reminders.ts';

/** Files of an Environment are fetched meanwhile; only when that takes longer is it worth an Event. */
const FETCH_MS = 5 * 60_000;

interface Parts {
  readonly resources: ResourceClient;
  readonly reminders: Reminders;
  readonly now: () => Date;
}

/**
 * Tells people, on Server and MetalMachine, why a bound machine is made to wait where only they can help: an Environment that does not exist, say. The
 * machine itself only says so on a console that nobody looks at. What passes by itself (503, 429) is not told.
 */
export async function tellBootTrouble(parts: Parts, plan: BootPlan, { uuid, peek }: BootRequest): Promise<BootPlan> {
  const { resources, reminders, now } = parts;
  if (plan.target !== 'wait' || plan.status === 503 || plan.status === 429 || peek || uuid === '') return plan;
  const bound = await boundMachine(resources, uuid);
  const afterMs = plan.status === 412 ? FETCH_MS : 0;
  if (!bound || !reminders.isDue({ name: uuid }, String(plan.status), { now: now(), afterMs })) return plan;
  const message = `It cannot boot: ${plan.reason}. Next: ${nextFor(bound, plan.status)}.`;
  for (const about of await lookedAt(resources, bound))
    void resources.record(about, { type: 'Warning', reason: 'Machine Boot', message, component: COMPONENT });
  return plan;
}

function nextFor({ server, binding, serverClass }: BoundServer, status: number): string {
  const { name } = server.metadata;
  const className = binding.spec?.serverClassRef?.name;
  if (className && !serverClass) return `make ServerClass ${className} again, or set spec.environmentRef of Server ${name}`;
  const environment = environmentNameOf(server, serverClass);
  if (status !== 404) return `kubectl describe environment ${environment} tells of its files and arguments`;
  const source = server.spec?.environmentRef?.name ? `Server ${name}` : `ServerClass ${className}`;
  return `make Environment ${environment}, or correct spec.environmentRef of ${source}`;
}
