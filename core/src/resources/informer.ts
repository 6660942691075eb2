import { setTimeout as delay } from 'node:timers/promises';
import { failure, hasCode, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Change } from './client.ts';
import type { Kind, KubeObject, Ref } from './kinds.ts';
import { type KindApi, tidy } from './kube-api.ts';
import { reasonOf } from './kube-transport.ts';
import { ObjectCache } from './object-cache.ts';
import { lines, parseWatchEvent, type WatchEvent } from './watch-stream.ts';

/** How patient an informer is. */
export interface InformerTiming {
  /** The server is asked to end a watch after a random time between these two. */
  readonly watchSeconds: readonly [least: number, most: number];
  /** A watch that is silent for this long beyond its end is given up: its connection is half-open. */
  readonly graceMs: number;
  /** Servers that send bookmarks do so about every minute; one that sent some is given up after this much silence. */
  readonly bookmarkSilenceMs: number;
  /** Waits between attempts double from `first` to `most`, each made 0–50 % shorter by chance. */
  readonly backoffMs: { readonly first: number; readonly most: number /** While the kind is unknown to the API. */; readonly missing: number };
}

export const defaultTiming: InformerTiming = {
  watchSeconds: [300, 600],
  graceMs: 15_000,
  bookmarkSilenceMs: 150_000,
  backoffMs: { first: 200, most: 30_000, missing: 5_000 },
};

export interface InformerOptions<T extends KubeObject> {
  readonly kind: Kind<T>;
  readonly api: KindApi<T>;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly timing: InformerTiming;
}

type State = 'starting' | 'watching' | 'missing' | 'unreachable' | 'refused';

/** After so many of its refusals a watch that cannot go on where it was is begun anew. */
const MAX_BUSY = 3;

// Starting, overloaded, or its own store is away: nothing is wrong with what we asked.
function isBusy(status: number): boolean {
  return status === 429 || status >= 500;
}

/** Why a round of list and watch ended without an error. */
type End = 'closed' | 'expired';

/** Keeps a cache of one kind by listing and watching, and tells handlers each change once. */
export class Informer<T extends KubeObject> {
  readonly cache: ObjectCache<T>;
  readonly #options: InformerOptions<T>;
  readonly #log: Logger;
  readonly #countList: (reason: string) => void;
  readonly #handlers = new Set<(change: Change<T>) => void>();
  readonly #firstLook = Promise.withResolvers<void>();
  #state: State = 'starting';
  #isSynced = false;
  /** Where the next watch goes on; undefined: list first. */
  #version: string | undefined;
  #listReason = 'start';
  #attempts = 0;
  /** Answers in a row by which the API asked for patience. */
  #busy = 0;
  /** Ends a watch, or the wait for the next one, so that what there is is listed anew. */
  #cut = new AbortController();
  /** Who waits for a list that is yet to begin, and who for the one that is next or under way. */
  #wishes: (() => void)[] = [];
  #due: (() => void)[] = [];

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.cache = new ObjectCache(options.kind.kind);
    this.#log = options.log.child({ kind: options.kind.kind });
    const count = options.metrics.counter('sidero_informer_lists_total', 'Complete lists that keep a cache right.', ['kind', 'reason']);
    this.#countList = (reason) => count({ kind: options.kind.kind, reason });
  }

  get kind(): string {
    return this.#options.kind.kind;
  }

  /** Whether the cache holds everything: the kind was listed once, and what happened since is told by watching. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Resolves once the kind was listed, or the API said that there is no such kind (yet). */
  get firstLook(): Promise<void> {
    return this.#firstLook.promise;
  }

  /** Tells `handler` everything there is, then every change, until the signal aborts. One that throws is logged. */
  handle(handler: (change: Change<T>) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    const guarded = (change: Change<T>) => this.#guard(() => handler(change), 'a watch handler failed', undefined);
    for (const object of this.cache.list()) guarded({ type: 'added', object });
    this.#handlers.add(guarded);
    return new Promise((resolve) => {
      const leave = () => {
        this.#handlers.delete(guarded);
        resolve();
      };
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** @throws SIDERO_INDEX_INVALID */
  addIndex(name: string, keys: (object: T) => readonly string[]): void {
    this.cache.addIndex(name, (object) => this.#guard(() => keys(object), `index "${name}" failed`, []));
  }

  /** The answer to a call of ours, so that who wrote it also reads it. */
  put(object: T): void {
    this.#tell([this.cache.put(object)]);
  }

  /** We removed an object. */
  bury(ref: Ref, uid: string): void {
    this.#tell([this.cache.bury(ref, uid)]);
  }

  /** Lists and watches until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await this.#round(signal);
      if (waitMs > 0) await delay(waitMs, undefined, { signal: AbortSignal.any([signal, this.#cut.signal]) }).catch(() => {});
    }
  }

  /**
   * Lists once more and watches from there, as a watch that says nothing may hang on a half-open connection. Resolves when what there is now is
   * in the cache, or the API says that it cannot be listed; never, when `run` has ended.
   */
  refresh(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wishes.push(resolve);
    this.#cut.abort();
    return promise;
  }

  // Gives how long to wait before the next round.
  async #round(signal: AbortSignal): Promise<number> {
    const started = performance.now();
    try {
      if (this.#version === undefined) await this.#list(signal);
      const end = await this.#watch(signal);
      if (end === 'expired') this.#listNext('expired');
      // A server that closes every watch at once is not to be asked in a circle.
      if (performance.now() - started < 1000) return this.#backoff('watching');
      this.#attempts = 0;
      return 0;
    } catch (thrown) {
      if (signal.aborted) return 0;
      return this.#cut.signal.aborted ? this.#listAnew() : this.#failed(thrown);
    }
  }

  // Only here: a list that was under way when it was wished for may be older than the wish.
  #listAnew(): number {
    this.#cut = new AbortController();
    this.#due.push(...this.#wishes.splice(0));
    this.#listNext('refresh');
    return 0;
  }

  #settleDue(): void {
    for (const settle of this.#due.splice(0)) settle();
  }

  #failed(thrown: unknown): number {
    const status = hasCode(thrown, 'SIDERO_RESOURCE_FAILED') ? Number(thrown.details['status']) : 0;
    const state: State = status === 404 ? 'missing' : status === 0 || isBusy(status) ? 'unreachable' : 'refused';
    this.#busy = isBusy(status) ? this.#busy + 1 : 0;
    // A kind that the API does not know any more keeps its objects here: when its definition is deleted, they are told as
    // removed before; and an API that forgets a kind for a moment must not make anybody believe that all servers are gone.
    // What broke off goes on where it was. Otherwise, or when that fails again and again, only a list is sure to be right.
    if (state !== 'unreachable' || this.#busy === MAX_BUSY) this.#listNext(state);
    if (state === 'missing') this.#firstLook.resolve();
    if (state !== 'unreachable') this.#settleDue();
    // One connection that broke is nothing to tell; that there is no other one is.
    if (state !== 'unreachable' || this.#attempts > 0) this.#enter(state, thrown);
    return this.#backoff(state);
  }

  #listNext(reason: string): void {
    this.#version = undefined;
    this.#listReason = reason;
  }

  #backoff(state: State): number {
    const { first, most, missing } = this.#options.timing.backoffMs;
    const longest = state === 'missing' ? missing : most;
    const waitMs = Math.min(longest, first * 2 ** Math.min(this.#attempts, 20));
    this.#attempts += 1;
    return waitMs * (0.5 + Math.random() / 2);
  }

  // Once per change of state, not per attempt.
  #enter(state: State, thrown?: unknown): void {
    if (state === this.#state) return;
    const before = this.#state;
    this.#state = state;
    const fields = { state, reason: messageOf(thrown) };
    if (state === 'watching') {
      if (before !== 'starting') this.#log.info({ state, objects: this.cache.size }, 'watching again');
    } else if (state === 'missing' && !this.#isSynced) this.#log.info(fields, 'the API does not know this kind yet; waiting for its definition');
    else this.#log.warn(fields, 'cannot watch; what is known stays in use until this works again');
  }

  async #list(signal: AbortSignal): Promise<void> {
    this.#countList(this.#listReason);
    const before = this.cache.highest;
    const { version, objects } = await this.#options.api.list({}, { signal });
    this.#isSynced = true;
    this.#tell(this.cache.replace(objects, { version, before }));
    this.#version = version;
    this.#firstLook.resolve();
    this.#settleDue();
  }

  async #watch(signal: AbortSignal): Promise<End> {
    const [least, most] = this.#options.timing.watchSeconds;
    const timeoutSeconds = Math.round(least + Math.random() * (most - least));
    const silence = new Silence(timeoutSeconds * 1000 + this.#options.timing.graceMs);
    const own = AbortSignal.any([signal, silence.signal, this.#cut.signal]);
    try {
      const stream = await this.#options.api.watch({ version: this.#version ?? '0', timeoutSeconds, signal: own });
      if ('status' in stream) return this.#ended(stream.status, reasonOf(stream));
      this.#enter('watching');
      return await this.#follow(stream, silence);
    } finally {
      silence.end();
    }
  }

  async #follow(stream: AsyncIterable<Uint8Array>, silence: Silence): Promise<End> {
    for await (const line of lines(silence.heardIn(stream))) {
      const event = parseWatchEvent<T>(line);
      if (!event) return this.#ended(200, `a line of ${line.length} characters is no event`);
      if (event.type === 'error') return this.#ended(event.status, event.reason);
      if (event.type === 'bookmark') silence.limit(this.#options.timing.bookmarkSilenceMs);
      this.#take(event);
    }
    return 'closed';
  }

  #take(event: Exclude<WatchEvent<T>, { type: 'error' }>): void {
    if (event.type === 'bookmark') this.cache.advance(event.version);
    else this.#tell([this.cache.apply({ ...event, object: tidy(this.#options.kind, event.object) })]);
    this.#version = event.type === 'bookmark' ? event.version : event.object.metadata.resourceVersion;
    this.#attempts = 0;
  }

  #ended(status: number, reason: string): End {
    if (status === 410) return 'expired';
    throw failure('SIDERO_RESOURCE_FAILED', { verb: 'watch', kind: this.#options.kind.kind, name: '(all)', status, reason });
  }

  #tell(changes: readonly (Change<T> | undefined)[]): void {
    for (const change of changes) {
      // A copy: a handler that is added by another one gets the change from the cache.
      const handlers = [...this.#handlers];
      if (change) for (const handler of handlers) handler(change);
    }
  }

  #guard<R>(call: () => R, what: string, otherwise: R): R {
    try {
      return call();
    } catch (thrown) {
      this.#log.error({ err: thrown }, what);
      return otherwise;
    }
  }
}

/** Aborts its signal when nothing was heard for too long. */
class Silence {
  readonly #controller = new AbortController();
  #limitMs: number;
  #timer: NodeJS.Timeout;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
    this.#timer = this.#start();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Shortens the limit. */
  limit(limitMs: number): void {
    if (limitMs >= this.#limitMs) return;
    this.#limitMs = limitMs;
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  async *heardIn<C>(chunks: AsyncIterable<C>): AsyncGenerator<C> {
    for await (const chunk of chunks) {
      this.#timer.refresh();
      yield chunk;
    }
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #start(): NodeJS.Timeout {
    return setTimeout(() => this.#controller.abort(new Error(`the watch was silent for ${this.#limitMs} ms`)), this.#limitMs);
  }
}
