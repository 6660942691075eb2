import { type Condition, setCondition, type Severity } from '@sidero/core';
import type { V1beta2Condition, V1beta2Status } from '../types.gen.ts';

/** Something that is seen of an object. */
export interface Observation {
  readonly type: string;
  readonly status: 'True' | 'False';
  /** One CamelCase word; a True one needs none. */
  readonly reason?: string;
  readonly severity?: Severity;
  readonly message?: string;
}

/** The part of a status that observations are written into. */
export interface ObservedStatus {
  conditions?: Condition[];
  v1beta2?: V1beta2Status;
}

/** An observation that holds. */
export function holds(type: string): Observation {
  return { type, status: 'True' };
}

/** Writes observations into a status in both forms that Cluster API knows; conditions of other types stay. `isPaused` shows in the newer one only. */
export function observe(
  status: ObservedStatus,
  observations: readonly Observation[],
  seen: { readonly now: Date; readonly isPaused: boolean },
): void {
  status.conditions = observations.reduce((known, observation) => setCondition(known, observation, seen.now), status.conditions ?? []);
  const paused: Observation = { type: 'Paused', status: seen.isPaused ? 'True' : 'False', reason: seen.isPaused ? 'Paused' : 'NotPaused' };
  const all = [...status.conditions, ...setCondition([], paused, seen.now)];
  const before = status.v1beta2?.conditions ?? [];
  status.v1beta2 = { conditions: all.map((condition) => newerForm(condition, before)) };
}

// Its transition time moves with the status only, and it must have a reason.
function newerForm(condition: Condition, before: readonly V1beta2Condition[]): V1beta2Condition {
  const { type, status, reason = status === 'True' ? 'Succeeded' : 'Unknown', message = '', lastTransitionTime } = condition;
  const known = before.find((other) => other.type === type);
  return { type, status, reason, message, lastTransitionTime: known?.status === status ? known.lastTransitionTime : lastTransitionTime };
}
