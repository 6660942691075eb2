/** Work for one machine at a time, in its order; machines do not wait for each other. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #waiting = new Map<string, number>();
  readonly #most: number;

  /** `most` may wait for one machine. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Whether there is no more room for that machine. */
  isFull(machine: string): boolean {
    return (this.#waiting.get(machine) ?? 0) >= this.#most;
  }

  /** Does the work once what came before is over. */
  async take<T>(machine: string, work: () => Promise<T>): Promise<T> {
    this.#waiting.set(machine, (this.#waiting.get(machine) ?? 0) + 1);
    const turn = (this.#last.get(machine) ?? Promise.resolve()).then(work, work);
    this.#last.set(machine, turn);
    try {
      return await turn;
    } finally {
      const left = (this.#waiting.get(machine) ?? 1) - 1;
      if (left > 0) this.#waiting.set(machine, left);
      else this.#waiting.delete(machine);
      if (this.#last.get(machine) === turn) this.#last.delete(machine);
    }
  }
}
