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

/** What is kept of one resource at most, whatever the number of changes: a class that names ten thousand servers is half a megabyte, each time. */
const MAX_BYTES = 32 * 1024 * 1024;

interface Log {
  readonly changes: Change[];
  bytes: number;
  /** Everything after this revision is in `changes`. */
  since: number;
  readonly subscribers: Set<Subscriber>;
}

/** The recent changes of every resource, and who wants to hear of new ones. */
export class WatchHistory {
  readonly #logs = new Map<string, Log>();
  readonly #size: number;
  readonly #bytes: number;
  readonly #start: number;

  /** Keeps `size` changes a resource, and about `bytes` (default 32 MiB) of them; what happened up to revision `start` is not known here. */
  constructor(options: { size: number; start: number; bytes?: number }) {
    this.#size = options.size;
    this.#bytes = options.bytes ?? MAX_BYTES;
    this.#start = options.start;
  }

  /** Takes committed changes, in order. */
  publish(changes: readonly Change[]): void {
    for (const change of changes) {
      const log = this.#log(change.resource);
      log.changes.push(change);
      log.bytes += bytesOf(change);
      // Cut in blocks: moving the array on every change would cost more than the memory it saves.
      if (log.changes.length > this.#size * 1.25 || log.bytes > this.#bytes * 1.25) this.#cut(log);
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

  // The newest stays, however large it is.
  #cut(log: Log): void {
    const { changes } = log;
    let cut = 0;
    for (; cut < changes.length - 1 && (changes.length - cut > this.#size || log.bytes > this.#bytes); cut++) log.bytes -= bytesOf(changes[cut]!);
    log.since = changes.splice(0, cut).at(-1)?.revision ?? log.since;
  }

  #log(resource: string): Log {
    let log = this.#logs.get(resource);
    if (!log) this.#logs.set(resource, (log = { changes: [], bytes: 0, since: this.#start, subscribers: new Set() }));
    return log;
  }
}

function bytesOf({ json, previous }: Change): number {
  return json.length + (previous?.length ?? 0);
}
