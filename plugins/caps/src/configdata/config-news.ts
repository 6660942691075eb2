import type { KubeObject, ResourceClient } from '@sidero/core';

/** The same is told again while it lasts: Events live for an hour. */
const AGAIN_MS = 30 * 60_000;
/** Machines that something was told of, and things told of one; the oldest are forgotten. */
const MAX_MACHINES = 2000;
const MAX_CAUSES = 20;

/** Tells people what is wrong with a machine's configuration: Events, once a cause, although the machine asks again every second. */
export class ConfigNews {
  readonly #record: ResourceClient['record'];
  readonly #now: () => number;
  readonly #told = new Map<string, Map<string, number>>();

  /** `now` is a monotonic clock in ms. */
  constructor(record: ResourceClient['record'], now: () => number = () => performance.now()) {
    this.#record = record;
    this.#now = now;
  }

  /** True when it was news. `about` is asked for only then. */
  async tell(uuid: string, message: string, about: () => Promise<readonly KubeObject[]>): Promise<boolean> {
    if (!this.#isNews(uuid, message)) return false;
    const objects = await about();
    await Promise.all(objects.map((object) => this.#record(object, { type: 'Warning', reason: 'Machine Config', message })));
    return true;
  }

  /** The machine has its configuration: whatever goes wrong from now on is news again. */
  forget(uuid: string): void {
    this.#told.delete(uuid);
  }

  #isNews(uuid: string, message: string): boolean {
    const atMs = this.#now();
    const causes = this.#told.get(uuid) ?? new Map<string, number>();
    const lastMs = causes.get(message);
    if (lastMs !== undefined && atMs - lastMs < AGAIN_MS) return false;
    causes.delete(message);
    causes.set(message, atMs);
    keepNewest(causes, MAX_CAUSES);
    this.#told.delete(uuid);
    this.#told.set(uuid, causes);
    keepNewest(this.#told, MAX_MACHINES);
    return true;
  }
}

function keepNewest(map: Map<string, unknown>, most: number): void {
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}
