import type { Metrics } from '@sidero/core';
import type { CloseReason } from '../machines/machine-connections.ts';

/** What became of an event. `told`: it changes nothing; `unchanged`: what it says was so already; `replayed`: it is older than what is known. */
export type EventOutcome = 'applied' | 'unchanged' | 'replayed' | 'told' | 'unknown-sender' | 'invalid' | 'failed';

/** What is measured of Talos' events. */
export interface EventMeters {
  event(type: string, outcome: EventOutcome): void;
  /** From its arrival until what it says stands in the ServerBinding. */
  applied(seconds: number): void;
  /** A connection that was not taken, or was closed. */
  refused(reason: 'stranger' | CloseReason): void;
}

/** Types that are counted by their name; whatever else a machine calls its types is `other`. */
export function eventMeters(metrics: Metrics, types: readonly string[]): EventMeters {
  const known = new Map(types.map((type) => [type, type.slice(type.lastIndexOf('.') + 1)]));
  const count = metrics.counter('sidero_talos_events_total', 'Events of Talos, by what became of them.', ['type', 'outcome']);
  const seconds = metrics.histogram('sidero_talos_event_seconds', 'From the arrival of an event until its condition is written.', {
    labels: [],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
  });
  const refused = metrics.counter('sidero_talos_event_refused_total', 'Connections to the event sink that were not taken, or were closed.', [
    'reason',
  ]);
  return {
    event: (type, outcome) => count({ type: known.get(type) ?? 'other', outcome }),
    applied: (took) => seconds(took),
    refused: (reason) => refused({ reason }),
  };
}
