import { setTimeout as delay } from 'node:timers/promises';

/** A connection that takes one thing after the other. */
export interface Line<T> extends AsyncDisposable {
  /** Resolves when it is sent, or acknowledged; until then it is sent again over the next connection. */
  send(item: T): Promise<void>;
  /** Settles when the connection is lost, where that shows before the next item. */
  readonly lost?: Promise<unknown>;
}

/** Pause before a lost connection is tried again. */
const RETRY_MS = 1000;

/** What waits to be sent, in its order, over a connection that may be lost. */
export class Outbox<T> {
  readonly #items: T[] = [];
  #wake = () => {};

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  /** Sends over what `open` gives, and over another one when that is lost, until the signal aborts. */
  async empty(open: () => Line<T> | Promise<Line<T>>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#emptyOver(open, signal).catch(() => undefined);
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #emptyOver(open: () => Line<T> | Promise<Line<T>>, signal: AbortSignal): Promise<void> {
    await using line = await open();
    let isLost = false;
    const lost = line.lost?.then(() => (isLost = true));
    while (!signal.aborted && !isLost) {
      const item = this.#items[0];
      if (item === undefined) {
        await Promise.race([this.#more(signal), ...(lost ? [lost] : [])]);
        continue;
      }
      await line.send(item);
      this.#items.shift();
    }
  }

  #more(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    signal.addEventListener('abort', () => resolve(), { once: true });
    return promise;
  }
}
