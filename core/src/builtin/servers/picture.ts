import {
  type Condition,
  conditionOf,
  markFalse,
  markTrue,
  type PowerReading,
  removeCondition,
  type Server,
  type ServerStep,
  type SideroError,
} from '../../index.ts';
import type { Facts, Told } from './step.ts';

const CONDITION = 'PowerManagement';
const REASONS: Readonly<Record<string, string>> = {
  SIDERO_BMC_AUTH: 'AuthFailed',
  SIDERO_BMC_BUSY: 'Busy',
  SIDERO_BMC_LOGIN_MISSING: 'LoginMissing',
  SIDERO_BMC_UNREACHABLE: 'Unreachable',
  SIDERO_BMC_UNSUPPORTED: 'Unsupported',
};
/** Their texts tell times and counts: the first of an outage stays. */
const MOVING: ReadonlySet<string> = new Set(['Unreachable', 'Busy']);

/** Why power management does not work, in one word for programs. */
export function reasonOf(problem: SideroError): string {
  return REASONS[problem.code] ?? 'Fault';
}

/** Whether this is another trouble than the one the Server tells of already. */
export function isNewTrouble(server: Server, problem: SideroError): boolean {
  const known = conditionOf(server.status?.conditions, CONDITION);
  const reason = reasonOf(problem);
  return known?.status !== 'False' || known.reason !== reason || (!MOVING.has(reason) && known.message !== textOf(problem));
}

/** What is seen of a server, written into its status. Editing it again with the same changes nothing. */
export function paint(draft: Server, facts: Facts, told: Told | undefined): void {
  const { now, power, drivers } = facts;
  const isStill = power?.problem !== undefined && told?.name === 'BmcTrouble' && draft.status?.step?.name === told.name;
  // One outage has one reason: an answer that names another deadline each time would be a write each time.
  const step = told && !(isStill && !isNewTrouble(draft, power.problem)) ? stepOf(draft.status?.step, told, now) : draft.status?.step;
  const state = powerOf(facts);
  const before = draft.status?.conditions ?? [];
  const conditions = drivers.length === 0 ? unmanaged(before, facts) : managed(draft, { power, now });
  draft.status = {
    ...draft.status,
    ...(told ? { ready: told.ready } : {}),
    ...(step ? { step } : {}),
    ...(state ? { power: state } : {}),
    ...(conditions.length || before.length ? { conditions: [...conditions] } : {}),
  };
}

// A server on which nothing may be done is not looked at either.
function powerOf({ power, drivers, server, isOurs }: Facts): string | undefined {
  if (power) return power.state;
  return drivers.length === 0 || !server.spec?.accepted || !isOurs ? 'unknown' : undefined;
}

function stepOf(before: ServerStep | undefined, told: Told, now: Date): ServerStep {
  const { name, reason, next, until, evidence } = told;
  const isSame = before?.name === name;
  const seen = isSame ? (before.evidence ?? evidence) : evidence;
  return {
    name,
    reason,
    next,
    since: isSame && before.since ? before.since : now.toISOString(),
    ...(until ? { until: until.toISOString() } : {}),
    ...(seen ? { evidence: seen } : {}),
  };
}

function managed(draft: Server, { power, now }: { power: PowerReading | undefined; now: Date }): readonly Condition[] {
  const conditions = draft.status?.conditions ?? [];
  if (!power) return conditions;
  const { problem } = power;
  if (!problem) return markTrue(conditions, CONDITION, now);
  if (!isNewTrouble(draft, problem)) return conditions;
  return markFalse(conditions, { type: CONDITION, reason: reasonOf(problem), severity: 'Warning', message: textOf(problem) }, now);
}

// That an old system may still run is told until the server is wiped or used again.
function unmanaged(conditions: readonly Condition[], { server, boundSince }: Facts): readonly Condition[] {
  const others = removeCondition(conditions, 'PowerCapabilities');
  const isOver = boundSince !== undefined || server.status?.isClean === true || conditionOf(others, CONDITION)?.reason !== 'Unmanaged';
  return isOver ? removeCondition(others, CONDITION) : others;
}

function textOf({ message, next }: SideroError): string {
  return `${message} Next: ${next}`;
}
