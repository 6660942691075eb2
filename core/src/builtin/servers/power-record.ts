import type { PowerActionRecord, PowerOrder, PowerState } from '../../index.ts';
import { ahead, type Facts, type Intent, later, msUntil, type Purpose, rest, retryMs, type Step, timeOf, type Told } from './step.ts';

/** The last action, when it was for this. */
export function recordFor({ server }: Facts, purpose: Purpose): PowerActionRecord | undefined {
  const record = server.status?.powerAction;
  return record?.purpose === purpose ? record : undefined;
}

/** Reads the power first. */
export const LOOK: Step = { deed: { kind: 'look' }, told: undefined };

/** Why the power cannot be known now; undefined when it is known, or when no device can tell it at all. */
export function troubleOf({ power, rebootTimeoutMs }: Facts): Step | undefined {
  const problem = power?.problem;
  if (!problem || problem.code === 'SIDERO_BMC_UNSUPPORTED') return undefined;
  return rest({ name: 'BmcTrouble', reason: problem.message, next: problem.next, ready: false }, retryMs(1, rebootTimeoutMs));
}

/** What a switch of the power is for. */
export interface Wish {
  readonly purpose: Purpose;
  /** The state that shall be. */
  readonly state: 'on' | 'off';
  readonly order: PowerOrder;
  /** Told while it is done, and while another attempt is waited for. */
  readonly told: Told;
}

/** Switches the power, unless it was tried a moment ago: attempts in a row are spaced ever wider. */
export function switchStep(facts: Facts, { purpose, order, told }: Wish): Step {
  const { now, rebootTimeoutMs } = facts;
  const row = inARow(facts, purpose);
  const { attempt } = row;
  const notBefore = ahead(row.notBefore, { now, mostMs: rebootTimeoutMs });
  const problem = recordFor(facts, purpose)?.problem;
  if (notBefore) return rest({ ...told, ready: false, until: notBefore, ...(problem ? { reason: problem } : {}) }, msUntil(notBefore, now));
  const intent: Intent = { order, purpose, attempt, retryMs: retryMs(attempt, rebootTimeoutMs) };
  return { deed: { kind: 'act', intent }, told: { ...told, ready: false } };
}

/** An action that was begun before we were restarted and has its effect needs no repetition. */
export function provenStep(facts: Facts, purposes: readonly Purpose[], state: PowerState): Step | undefined {
  const record = facts.server.status?.powerAction;
  const isOpen = record?.state === 'begun' && purposes.some((purpose) => purpose === record.purpose);
  if (!isOpen || facts.power?.state !== state || facts.power.driver === undefined) return undefined;
  return { deed: { kind: 'settle', record: { ...record, state: 'done' } }, told: undefined };
}

/** Until when the power is left as a person just had it made. */
export function asAskedUntil({ server, now, powerPollMs }: Facts): Date | undefined {
  const { purpose, state, action, since } = server.status?.powerAction ?? {};
  const isSwitch = action === 'on' || action === 'off' || action === 'cycle' || action === 'soft';
  const done = purpose === 'request' && state === 'done' && isSwitch ? timeOf(since) : undefined;
  return ahead(done && later(done, powerPollMs), { now, mostMs: powerPollMs });
}

/** The power is left as a person had it made, for now. */
export function asAskedStep({ server, now }: Facts, until: Date): Step {
  const next = `then Sidero goes on; to keep it so: sidero power on|off ${server.metadata.name} --keep`;
  return rest({ name: 'AsAsked', reason: 'a person switched its power by sidero power', next, until, ready: false }, msUntil(until, now));
}

function inARow(facts: Facts, purpose: Purpose): { attempt: number; notBefore?: Date | undefined } {
  const { now, rebootTimeoutMs } = facts;
  const record = recordFor(facts, purpose);
  const since = timeOf(record?.since);
  if (!record || !since) return { attempt: 1 };
  const before = record.attempt ?? 1;
  if (record.state === 'begun') return { attempt: before + 1 };
  if (record.state === 'failed') return { attempt: before + 1, notBefore: timeOf(record.until) };
  // Done, and again not as it should be: somebody switches it, or the device lies.
  if (later(since, rebootTimeoutMs) <= now) return { attempt: 1 };
  return { attempt: before + 1, notBefore: later(since, retryMs(before, rebootTimeoutMs)) };
}
