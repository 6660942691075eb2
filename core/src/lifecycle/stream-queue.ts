import type { ServerEvent } from '../hooks.ts';

/** What a tap of `stream` may be behind by; more, and the oldest is dropped. Some 5 MB of kernel log. */
export const STREAM_QUEUE_LENGTH = 10_000;

/** What a queue works with. */
export interface StreamQueueOptions {
  /** Tells the tap; gives a promise when it needs time, which never rejects. */
  readonly tell: (event: ServerEvent) => unknown;
  readonly onDrop: () => void;
  /** Default STREAM_QUEUE_LENGTH. */
  readonly length?: number;
}

/**
 * Events on their way to one tap of `stream`. A tap that answers at once is told at once; while one that gave a promise is at work, what comes
 * waits here, in its order. Nobody waits for a tap, and no tap for another.
 */
export class StreamQueue {
  readonly #options: StreamQueueOptions;
  readonly #length: number;
  #waiting: ServerEvent[] = [];
  /** Of `#waiting`, so many from the start are done with. */
  #done = 0;
  #isBusy = false;

  constructor(options: StreamQueueOptions) {
    this.#options = options;
    this.#length = options.length ?? STREAM_QUEUE_LENGTH;
  }

  push(event: ServerEvent): void {
    if (this.#isBusy) return this.#wait(event);
    const answer = this.#options.tell(event);
    if (answer instanceof Promise) void this.#goOn(answer);
  }

  #wait(event: ServerEvent): void {
    if (this.#waiting.length - this.#done >= this.#length) {
      this.#done++;
      this.#options.onDrop();
    }
    this.#waiting.push(event);
    if (this.#done >= this.#length) this.#forget();
  }

  async #goOn(first: Promise<unknown>): Promise<void> {
    this.#isBusy = true;
    await first;
    while (this.#done < this.#waiting.length) await this.#options.tell(this.#waiting[this.#done++]!);
    this.#forget();
    this.#isBusy = false;
  }

  #forget(): void {
    this.#waiting = this.#waiting.slice(this.#done);
    this.#done = 0;
  }
}
