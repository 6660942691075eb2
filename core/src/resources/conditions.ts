import type { Condition } from './types.gen.ts';

// Cluster API's v1beta1 conditions. All functions take a list and return another; the one given stays as it is.

/** How bad it is that a condition is not true. */
export type Severity = 'Error' | 'Warning' | 'Info';

/** A condition that is false, and why. Empty texts count as absent. */
export interface FalseCondition {
  readonly type: string;
  /** One CamelCase word for programs. */
  readonly reason: string;
  readonly severity: Severity;
  /** A sentence for people; cut to the 10240 characters the schema allows. */
  readonly message?: string;
}

const MAX_MESSAGE_LENGTH = 10_240;

/** The condition of that type. */
export function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** Whether the condition of that type is there and `True`. */
export function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return conditionOf(conditions, type)?.status === 'True';
}

/** The list with that condition true, without reason, severity and message. */
export function markTrue(conditions: readonly Condition[] | undefined, type: string, now: Date): Condition[] {
  return setCondition(conditions, { type, status: 'True' }, now);
}

/** The list with that condition false. */
export function markFalse(conditions: readonly Condition[] | undefined, given: FalseCondition, now: Date): Condition[] {
  return setCondition(conditions, { ...given, status: 'False' }, now);
}

/** The list without conditions of that type. */
export function removeCondition(conditions: readonly Condition[] | undefined, type: string): Condition[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}

/**
 * The list with that condition in it, sorted. Its transition time is kept when status, reason, severity and message are as
 * before, else it is `now` in whole seconds, which is as exact as Cluster API's own clients write it.
 */
export function setCondition(conditions: readonly Condition[] | undefined, wanted: Omit<Condition, 'lastTransitionTime'>, now: Date): Condition[] {
  const known = conditionOf(conditions, wanted.type);
  const message = wanted.message?.slice(0, MAX_MESSAGE_LENGTH);
  const next: Condition = {
    type: wanted.type,
    status: wanted.status,
    ...(wanted.severity ? { severity: wanted.severity } : {}),
    ...(wanted.reason ? { reason: wanted.reason } : {}),
    ...(message ? { message } : {}),
    lastTransitionTime: wholeSeconds(now),
  };
  if (known && isSame(known, next)) next.lastTransitionTime = known.lastTransitionTime;
  return sortConditions([...removeCondition(conditions, wanted.type), next]);
}

/** `Ready` first, the others by type. */
export function sortConditions(conditions: readonly Condition[]): Condition[] {
  return conditions.toSorted((a, b) => Number(b.type === 'Ready') - Number(a.type === 'Ready') || compare(a.type, b.type));
}

function isSame(a: Condition, b: Condition): boolean {
  return (
    a.status === b.status &&
    (a.reason ?? '') === (b.reason ?? '') &&
    (a.severity ?? '') === (b.severity ?? '') &&
    (a.message ?? '') === (b.message ?? '')
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function wholeSeconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}
