/** At most so many commands in any second. */
export class CommandRate {
  readonly #perSecond: number;
  #startsMs: number[] = [];

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** How long the next command has to wait. */
  waitMs(nowMs: number): number {
    const oldest = this.#startsMs.length < this.#perSecond ? undefined : this.#startsMs[0];
    return oldest === undefined ? 0 : Math.max(0, oldest + 1000 - nowMs);
  }

  started(nowMs: number): void {
    this.#startsMs = [...this.#startsMs, nowMs].slice(-this.#perSecond);
  }
}
