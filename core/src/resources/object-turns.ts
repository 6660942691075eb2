/** Who writes is done in milliseconds, unless the API is away; then nobody is helped by a queue. */
const PATIENCE_MS = 1000;

/** Lets work on one object go one after another, and on different objects at once. */
export class ObjectTurns {
  readonly #last = new Map<string, Promise<void>>();

  /** Does `work` when the work that was given before for that key has ended, or has taken too long. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(key, promise);
    try {
      if (before) await patiently(before);
      return await work();
    } finally {
      resolve();
      if (this.#last.get(key) === promise) this.#last.delete(key);
    }
  }
}

async function patiently(before: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, PATIENCE_MS);
  void before.then(resolve);
  await promise;
  clearTimeout(timer);
}
