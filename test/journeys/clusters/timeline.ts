/** What happened when, for the message of a failure. */
export class Timeline {
  readonly lines: string[] = [];
  readonly #startMs = performance.now();

  push(what: string): void {
    this.lines.push(`${((performance.now() - this.#startMs) / 1000).toFixed(2).padStart(7)} s  ${what}`);
  }
}
