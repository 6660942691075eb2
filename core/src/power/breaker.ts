const SILENCES = 3;
const FIRST_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 5 * 60_000;
/** Nobody has asked for so long: nobody will. */
const FORGOTTEN_MS = 60 * 60_000;

/**
 * Spares a device that does not answer, and those who ask it: after three silences in a row nobody asks it for 10 s, then one may; each further
 * silence doubles the wait, up to 5 min. Any answer, a refusal too, ends it.
 */
export class Breaker {
  #silences = 0;
  #waitMs = 0;
  #untilMs = 0;

  get isOpen(): boolean {
    return this.#waitMs > 0;
  }

  get silences(): number {
    return this.#silences;
  }

  /** Until when nobody may ask; undefined: now. */
  refusesUntil(nowMs: number): Date | undefined {
    return nowMs < this.#untilMs ? new Date(this.#untilMs) : undefined;
  }

  /** Whether what it knows may still spare anybody something. */
  matters(nowMs: number): boolean {
    return this.isOpen && nowMs < this.#untilMs + FORGOTTEN_MS;
  }

  answered(): void {
    this.#silences = this.#waitMs = this.#untilMs = 0;
  }

  wasSilent(nowMs: number): void {
    this.#silences++;
    if (this.#silences < SILENCES) return;
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2 || FIRST_WAIT_MS);
    this.#untilMs = nowMs + this.#waitMs;
  }
}
