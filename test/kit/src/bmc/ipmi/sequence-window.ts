/** How far behind the newest packet one may be (IPMI 2.0, 6.12.13 and 13.28.4 say 8 and 16). */
const WINDOW = 16;

/** Which sequence numbers of a session have come: each counts once, and none from long ago. */
export class SequenceWindow {
  #newest: number | undefined;
  readonly #seen = new Set<number>();

  /** Whether a packet with this number is new; from now on it is not. */
  accepts(sequence: number): boolean {
    const newest = this.#newest ?? sequence;
    if (sequence <= newest - WINDOW || this.#seen.has(sequence)) return false;
    this.#newest = Math.max(newest, sequence);
    this.#seen.add(sequence);
    for (const old of this.#seen) if (old <= this.#newest - WINDOW) this.#seen.delete(old);
    return true;
  }
}
