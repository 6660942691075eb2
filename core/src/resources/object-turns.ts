/** Who writes is done in milliseconds, on a busy host in seconds; when the API is away nobody is helped by a queue. */
const PATIENCE_MS = 5000;

/** Lets work on one object go one after another, and on different objects at once. */
export class ObjectTurns {
  readonly #last = new Map<string, Promise<void>>();
  readonly #patienceMs: number;

  constructor(patienceMs = PATIENCE_MS) {
    this.#patienceMs = patienceMs;
  }

  /** Does `work` when the work that was given before for that key has ended, or has taken too long. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(key, promise);
    try {
      if (before) await atMost(before, this.#patienceMs);
      return await work();
    } finally {
      resolve();
      if (this.#last.get(key) === promise) this.#last.delete(key);
    }
  }
}

async function atMost(before: Promise<void>, patienceMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, patienceMs);
  void before.then(resolve);
  await promise;
  clearTimeout(timer);
}
