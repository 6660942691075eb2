import type { Change } from './store.ts';

/** A change with the texts made of it, so that watchers who want the same form share one. */
export class SharedChange {
  readonly change: Change;
  readonly #forms = new Map<string, Buffer | undefined>();

  constructor(change: Change) {
    this.change = change;
  }

  /** The form called `name`; `make` runs for the first who asks. */
  form(name: string, make: () => Buffer | undefined): Buffer | undefined {
    if (!this.#forms.has(name)) this.#forms.set(name, make());
    return this.#forms.get(name);
  }
}

/** Told every change of a resource, in order, and that nothing happened up to a revision. */
export interface Subscriber {
  changed(change: SharedChange): void;
}

interface Log {
  readonly changes: Change[];
  /** Everything after this revision is in `changes`. */
  since: number;
  readonly subscribers: Set<Subscriber>;
}

/** The recent changes of every resource, and who wants to hear of new ones. */
export class WatchHistory {
  readonly #logs = new Map<string, Log>();
  readonly #size: number;
  readonly #start: number;

  /** Keeps `size` changes a resource; what happened up to revision `start` is not known here. */
  constructor(options: { size: number; start: number }) {
    this.#size = options.size;
    this.#start = options.start;
  }

  /** Takes committed changes, in order. */
  publish(changes: readonly Change[]): void {
    for (const change of changes) {
      const log = this.#log(change.resource);
      log.changes.push(change);
      // Cut in blocks: moving the array on every change would cost more than the memory it saves.
      if (log.changes.length > this.#size * 1.25) log.since = log.changes.splice(0, log.changes.length - this.#size).at(-1)!.revision;
      const shared = new SharedChange(change);
      for (const subscriber of log.subscribers) subscriber.changed(shared);
    }
  }

  /** The changes after `revision`; undefined when some of them are no longer known. */
  after(resource: string, revision: number): readonly Change[] | undefined {
    const log = this.#log(resource);
    if (revision < log.since) return undefined;
    return log.changes.filter((change) => change.revision > revision);
  }

  /** True when a client may go on from `revision`. */
  reaches(resource: string, revision: number): boolean {
    return revision >= this.#log(resource).since;
  }

  /** Returns the function that ends the subscription. */
  subscribe(resource: string, subscriber: Subscriber): () => void {
    const { subscribers } = this.#log(resource);
    subscribers.add(subscriber);
    return () => subscribers.delete(subscriber);
  }

  #log(resource: string): Log {
    let log = this.#logs.get(resource);
    if (!log) this.#logs.set(resource, (log = { changes: [], since: this.#start, subscribers: new Set() }));
    return log;
  }
}
