import { orAborted } from '../waiting/or-aborted.ts';

/** Lets one pass at a time, in the order of their coming. */
export class Turns {
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  get isFree(): boolean {
    return this.#waiting === 0;
  }

  /** Resolves when it is one's turn, with what ends it. Rejects with the signal's reason when it aborts before. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = before.then(() => promise);
    this.#waiting++;
    const done = (): void => {
      this.#waiting--;
      resolve();
    };
    try {
      await orAborted(before, signal);
      // It may have come with the very turn.
      signal.throwIfAborted();
      return done;
    } catch (thrown) {
      done();
      throw thrown;
    }
  }
}
