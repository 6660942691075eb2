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
  // Nearly every pause is a deadline that is not reached: node:timers/promises would make an error with a stack for each.
  pause: (ms, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const stop = () => {
        clearTimeout(end);
        reject(signal.reason);
      };
      const end = setTimeout(() => {
        signal.removeEventListener('abort', stop);
        resolve();
      }, ms);
      signal.addEventListener('abort', stop, { once: true });
    }),
};

/** How long a piece of work may take, and what is thrown when it takes longer. */
export interface Deadline {
  readonly clock: Clock;
  readonly ms: number;
  /** Of the caller. The work gets one that also aborts when the time is over. */
  readonly signal: AbortSignal;
  late(): Error;
}

// Nobody sees it; without a reason of ours each abort makes an error with a stack.
const ENDED = new Error('the work has ended');

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
    stop.abort(ENDED);
  }
}
