import { setTimeout as timer } from 'node:timers/promises';

/** Time as the power room sees it; tests bring one that they move themselves. */
export interface Clock {
  /** Never goes back. */
  now(): Date;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

/** The real one. It follows no correction of the system's clock: a step of that must not open or close a breaker. */
export const realClock: Clock = {
  now: () => new Date(performance.timeOrigin + performance.now()),
  async pause(ms, signal) {
    try {
      await timer(ms, undefined, { signal });
    } catch (thrown) {
      signal.throwIfAborted();
      throw thrown;
    }
  },
};

/** How long a piece of work may take, and what is thrown when it takes longer. */
export interface Deadline {
  readonly clock: Clock;
  readonly ms: number;
  /** Of the caller. The work gets one that also aborts when the time is over. */
  readonly signal: AbortSignal;
  late(): Error;
}

/** Ends in time, even when the work heeds no signal; what it comes to afterwards is dropped. */
export async function withDeadline<T>({ clock, ms, signal, late }: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const stop = new AbortController();
  const inTime = AbortSignal.any([signal, stop.signal]);
  const over = clock.pause(ms, inTime).then(() => {
    throw late();
  });
  try {
    return await Promise.race([work(inTime), over]);
  } finally {
    stop.abort();
  }
}
