import { type BootPlan, type BootRequest, conditionOf, environmentNameOf, type Logger, type ResourceClient, ServerBindingKind } from '@sidero/core';
import { boundMachine, type BoundServer, lookedAt } from '../bound-machine.ts';
import { endTrouble, noteTrouble, type Trouble, TROUBLE_CONDITIONS } from '../machine-trouble.ts';
import { COMPONENT } from './contract.ts';
import type { Reminders } from './reminders.ts';

type Wait = Extract<BootPlan, { target: 'wait' }>;

/** Files of an Environment are fetched meanwhile; only when that takes longer is it worth an Event. */
const FETCH_MS = 5 * 60_000;

interface Parts {
  readonly resources: ResourceClient;
  readonly log: Logger;
  readonly reminders: Reminders;
  readonly now: () => Date;
}

/**
 * Tells people, on Server and MetalMachine, why a bound machine is made to wait where only they can help: an Environment that does not exist, say. The
 * machine itself only says so on a console that nobody looks at. What passes by itself (503, 429) is not told. An Event says it once in a while, a
 * condition as long as it lasts.
 */
export async function tellBootTrouble(parts: Parts, plan: BootPlan, { uuid, peek }: BootRequest): Promise<BootPlan> {
  if (peek || uuid === '' || plan.target === 'agent') return plan;
  if (plan.target === 'wait' && plan.status !== 503 && plan.status !== 429) await tell(parts, plan, uuid);
  else await tellEnd(parts, plan, uuid);
  return plan;
}

async function tell(parts: Parts, { status, reason }: Wait, uuid: string): Promise<void> {
  const { resources, reminders, now } = parts;
  const bound = await boundMachine(resources, uuid);
  if (!bound) return;
  const isFetched = status !== 412;
  const isDue = reminders.isDue({ name: uuid }, String(status), { now: now(), afterMs: isFetched ? 0 : FETCH_MS });
  const message = `It cannot boot: ${reason}. Next: ${nextFor(bound, status)}.`;
  const trouble: Trouble = { type: 'NetworkBootReady', reason: reasonFor(bound, status), severity: isFetched ? 'Error' : 'Warning', message };
  // What hinders the fetching may be told otherwise by each replica; what stood there of another trouble is over.
  const stands = conditionOf(bound.binding.status?.conditions, trouble.type);
  if (isDue || isFetched || (stands && stands.reason !== trouble.reason)) await noteTrouble(parts, uuid, trouble);
  if (!isDue) return;
  for (const about of await lookedAt(resources, bound))
    void resources.record(about, { type: 'Warning', reason: 'Machine Boot', message, component: COMPONENT });
}

// Should it come again, it is news again. From its disk it boots without asking for a configuration.
async function tellEnd({ resources, reminders }: Parts, { target }: BootPlan, uuid: string): Promise<void> {
  reminders.forget({ name: uuid });
  const binding = await resources.get(ServerBindingKind, { name: uuid });
  if (binding) await endTrouble(resources, binding, target === 'disk' ? TROUBLE_CONDITIONS : ['NetworkBootReady']);
}

function reasonFor({ binding, serverClass }: BoundServer, status: Wait['status']): string {
  if (binding.spec?.serverClassRef?.name && !serverClass) return 'ServerClassMissing';
  if (status === 404) return 'EnvironmentMissing';
  return status === 412 ? 'EnvironmentNotReady' : 'EnvironmentInvalid';
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
