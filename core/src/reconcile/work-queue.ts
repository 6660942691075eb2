/** Waits after failures: 5 ms, doubling up to 1000 s, each up to 20 % longer or shorter by chance. */
const FIRST_RETRY_MS = 5;
const MOST_RETRY_MS = 1_000_000;
/** setTimeout's own limit; whoever waited that long is simply looked at early. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The wait before the retry that follows `failures` earlier ones; `chance` is in [0, 1). */
export function retryDelayMs(failures: number, chance = Math.random()): number {
  return Math.min(MOST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 30) * (0.8 + 0.4 * chance));
}

/**
 * Keys that are due. A key is in the queue at most once and is never handed out twice at a time: one that comes due
 * while it is worked on is handed out again afterwards. First come, first served.
 */
export class WorkQueue {
  readonly #due = new Set<string>();
  readonly #working = new Set<string>();
  /** Came due while being worked on. */
  readonly #again = new Set<string>();
  readonly #delayed = new Map<string, { readonly at: number; readonly timer: NodeJS.Timeout }>();
  readonly #failures = new Map<string, number>();
  readonly #waiting: ((key: string | undefined) => void)[] = [];
  readonly #onLength: (length: number) => void;
  #isStopped = false;

  /** @param onLength told the number of keys that are due, whenever it changes. */
  constructor(onLength: (length: number) => void = () => {}) {
    this.#onLength = onLength;
  }

  /** Keys that wait to be handed out. */
  get length(): number {
    return this.#due.size;
  }

  add(key: string): void {
    if (this.#isStopped || this.#due.has(key)) return;
    if (this.#working.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#due.add(key);
    this.#handOut();
  }

  /** Makes the key due later. Of several delays the one that ends first counts; handing the key out settles them. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isStopped) return;
    if (delayMs <= 0) return this.add(key);
    const at = performance.now() + delayMs;
    const known = this.#delayed.get(key);
    if (known && known.at <= at) return;
    if (known) clearTimeout(known.timer);
    const timer = setTimeout(
      () => {
        this.#delayed.delete(key);
        this.add(key);
      },
      Math.min(delayMs, MAX_TIMER_MS),
    );
    this.#delayed.set(key, { at, timer });
  }

  /** Makes the key due after its back-off, which doubles until `forget`. */
  retry(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, retryDelayMs(failures));
  }

  /** The key's work succeeded: its back-off starts anew. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key that is due; `done` must follow. Undefined once the queue was stopped. */
  next(): Promise<string | undefined> {
    if (this.#isStopped) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#handOut();
    });
  }

  /** The key's work has ended, however it ended. */
  done(key: string): void {
    this.#working.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  /** Nothing is handed out any more; who waits gets undefined. */
  stop(): void {
    this.#isStopped = true;
    for (const { timer } of this.#delayed.values()) clearTimeout(timer);
    this.#delayed.clear();
    this.#due.clear();
    for (const give of this.#waiting.splice(0)) give(undefined);
    this.#onLength(0);
  }

  #handOut(): void {
    for (const key of this.#due) {
      const give = this.#waiting.shift();
      if (!give) break;
      this.#due.delete(key);
      this.#working.add(key);
      this.#settle(key);
      give(key);
    }
    this.#onLength(this.#due.size);
  }

  #settle(key: string): void {
    clearTimeout(this.#delayed.get(key)?.timer);
    this.#delayed.delete(key);
  }
}
