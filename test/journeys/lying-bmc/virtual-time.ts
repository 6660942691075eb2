/** Time that passes only when it is told to, and runs everything that is due on the way. */
export class VirtualTime {
  #nowMs = Date.parse('2026-01-01T00:00:00Z');
  #order = 0;
  readonly #due: { readonly atMs: number; readonly order: number; run(): void }[] = [];

  readonly now = (): Date => new Date(this.#nowMs);

  readonly pause = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const leave = () => reject(signal.reason as Error);
      signal.addEventListener('abort', leave, { once: true });
      this.after(ms, () => {
        signal.removeEventListener('abort', leave);
        resolve();
      });
    });

  after(ms: number, run: () => void): void {
    const entry = { atMs: this.#nowMs + ms, order: this.#order++, run };
    let at = this.#due.length;
    while (at > 0 && isLater(entry, this.#due[at - 1]!)) at--;
    this.#due.splice(at, 0, entry);
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settled();
    for (let next = this.#due.at(-1); next && next.atMs <= endMs; next = this.#due.at(-1)) {
      this.#due.pop();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await settled();
    }
    this.#nowMs = endMs;
  }
}

// The list is sorted with what comes first at its end.
function isLater(a: { atMs: number; order: number }, b: { atMs: number; order: number }): boolean {
  return a.atMs > b.atMs || (a.atMs === b.atMs && a.order > b.order);
}

/** Everything that waits for no time has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
