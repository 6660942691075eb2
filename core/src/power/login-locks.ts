const LOCKED_MS = 5 * 60_000;

/** A login that a device refused. */
export interface LoginLock {
  /** What the device said. */
  readonly problem: string;
  /** Until when it is not tried again. */
  readonly until: Date;
}

/** Keeps us from making a BMC lock its user: a refused login is tried again after 5 min, or when it, or what the Server says of the BMC, changed. */
export class LoginLocks {
  readonly #locks = new Map<string, LoginLock>();

  /** `identity` names a login together with where and how it is used. */
  of(identity: string, nowMs: number): LoginLock | undefined {
    const lock = this.#locks.get(identity);
    return lock && nowMs < lock.until.getTime() ? lock : undefined;
  }

  refused(identity: string, { problem, nowMs }: { readonly problem: string; readonly nowMs: number }): void {
    this.#forgetOver(nowMs);
    this.#locks.set(identity, { problem, until: new Date(nowMs + LOCKED_MS) });
  }

  forget(identity: string): void {
    this.#locks.delete(identity);
  }

  isEmpty(nowMs: number): boolean {
    this.#forgetOver(nowMs);
    return this.#locks.size === 0;
  }

  #forgetOver(nowMs: number): void {
    for (const [identity, { until }] of this.#locks) if (until.getTime() <= nowMs) this.#locks.delete(identity);
  }
}
