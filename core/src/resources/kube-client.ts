import { setTimeout as delay } from 'node:timers/promises';
import type { KubeConfig } from '@kubernetes/client-node';
import { failure } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { orAborted } from '../waiting/or-aborted.ts';
import type { Change, Filter, ResourceClient } from './client.ts';
import { copyJson } from './copy-json.ts';
import { createEventRecorder } from './events.ts';
import { defaultTiming, Informer, type InformerTiming } from './informer.ts';
import { EventKind, type Kind, type KubeObject, type Ref } from './kinds.ts';
import { KindApi, type Written } from './kube-api.ts';
import { createTransport, type KubeTransport } from './kube-transport.ts';
import { labelSelector } from './label-selector.ts';
import { freeze, keyOf } from './object-cache.ts';
import { ObjectTurns } from './object-turns.ts';
import { patchesOf, underVersion } from './patch.ts';

export interface ResourceClientOptions {
  /** Asked once, for the first call. */
  readonly kubeConfig: () => KubeConfig | Promise<KubeConfig>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Who we are: field manager, user agent, and source of Events. */
  readonly component: string;
  /** A call that was not answered by then fails with SIDERO_RESOURCE_UNREACHABLE. Default 30 s. */
  readonly callTimeoutMs?: number;
  /** For tests that cannot wait for minutes. */
  readonly timing?: Partial<InformerTiming>;
}

/** A ResourceClient with its life. Calls wait until `kubeConfig` has settled; before that only registrations (`index`, `watch`) are of use. */
export interface RunningResourceClient extends ResourceClient {
  /** Begins to keep the caches of all kinds that are watched or indexed, also later, until the signal aborts. Calls work on until `close`. */
  start(signal: AbortSignal): void;
  /** Resolves once every kind that is watched or indexed was listed, or turned out not to exist (yet). Rejects when `signal` aborts first. */
  synced(signal?: AbortSignal): Promise<void>;
  /**
   * Lists every kind that is watched or indexed once more, whatever its watch says. Resolves when all of that is in the caches; a kind that the
   * API refuses to list stays as it was. Rejects when `signal` aborts first.
   */
  refresh(signal: AbortSignal): Promise<void>;
  /** Watched kinds whose objects are not all known, for `/readyz`. */
  unsynced(): readonly string[];
  /** Stops watching and ends all connections; later calls fail with SIDERO_CLUSTER_CLOSED. */
  close(): Promise<void>;
}

const CHANGE_RETRIES = 5;
const RETRY_MS = 10;

/** The client of one cluster. All objects it gives are frozen: change them with `change`. */
export function createResourceClient(options: ResourceClientOptions): RunningResourceClient {
  return new KubeResourceClient(options);
}

interface Entry<T extends KubeObject> {
  readonly api: KindApi<T>;
  /** Only for kinds that somebody watches or indexes: nobody wants all Secrets of a cluster in memory. */
  informer?: Informer<T>;
  /** What `find` looks through until its informer has listed; while that is asked for. */
  listing?: Promise<readonly T[]> | undefined;
}

class KubeResourceClient implements RunningResourceClient {
  readonly record: ResourceClient['record'];
  readonly #options: ResourceClientOptions;
  readonly #entries = new Map<string, Entry<never>>();
  readonly #closing = new AbortController();
  readonly #runs: Promise<void>[] = [];
  readonly #turns = new ObjectTurns();
  #transport: Promise<KubeTransport> | undefined;
  #watching: AbortSignal | undefined;

  constructor(options: ResourceClientOptions) {
    this.#options = options;
    const { component, log } = options;
    this.record = createEventRecorder({ api: this.#entry(EventKind).api, component, log });
  }

  start(signal: AbortSignal): void {
    this.#watching = AbortSignal.any([signal, this.#closing.signal]);
    for (const { informer } of this.#entries.values()) this.#run(informer);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const transport = await this.#transport?.catch(() => undefined);
    await Promise.all([transport?.close(), ...this.#runs]);
  }

  async synced(signal?: AbortSignal): Promise<void> {
    const looks = Promise.all([...this.#entries.values()].flatMap(({ informer }) => (informer ? [informer.firstLook] : [])));
    if (!signal) return void (await looks);
    await orAborted(looks, signal);
  }

  async refresh(signal: AbortSignal): Promise<void> {
    const lists = [...this.#entries.values()].flatMap(({ informer }) => (informer?.isSynced ? [informer.refresh()] : []));
    await orAborted(Promise.all(lists), signal);
  }

  unsynced(): readonly string[] {
    return [...this.#entries.values()].flatMap(({ informer }) => (informer && !informer.isSynced ? [informer.kind] : []));
  }

  async get<T extends KubeObject>(kind: Kind<T>, ref: Ref, options: { readonly live?: boolean } = {}): Promise<T | undefined> {
    const { api, informer } = this.#entry(kind);
    if (informer?.isSynced && !options.live) return informer.cache.get(ref);
    const object = freeze(await api.get(ref));
    // What was read once is not read older afterwards.
    if (object) informer?.put(object);
    return object;
  }

  async list<T extends KubeObject>(kind: Kind<T>, filter: Filter = {}, options: { readonly live?: boolean } = {}): Promise<readonly T[]> {
    const { api, informer } = this.#entry(kind);
    if (!informer?.isSynced || options.live) return freeze((await api.list(filter)).objects);
    const objects = informer.cache.list(filter.namespace);
    if (!filter.labels) return objects;
    const selects = labelSelector(filter.labels);
    return objects.filter(({ metadata }) => selects(metadata.labels));
  }

  async listMetadata(kind: Kind<KubeObject>): Promise<readonly KubeObject[]> {
    return freeze((await this.#entry(kind).api.list({}, { part: 'metadata' })).objects);
  }

  async find<T extends KubeObject>(kind: Kind<T>, name: string, key: string): Promise<readonly T[]> {
    const { cache, isSynced } = this.#informer(kind);
    if (isSynced) return cache.find(name, key);
    const entry = this.#entry(kind);
    // Who asks for many at once needs one list.
    const all = await (entry.listing ??= this.list(kind, {}, { live: true }).finally(() => (entry.listing = undefined)));
    return all.filter((object) => cache.indexKeys(name, object).includes(key));
  }

  index<T extends KubeObject>(kind: Kind<T>, name: string, keys: (object: T) => readonly string[]): void {
    this.#informer(kind).addIndex(name, keys);
  }

  async create<T extends KubeObject>(kind: Kind<T>, object: T): Promise<T> {
    const { api, informer } = this.#entry(kind);
    const created = await api.create(object);
    if (created === 'exists') throw failure('SIDERO_RESOURCE_EXISTS', { kind: kind.kind, name: keyOf(object.metadata) });
    informer?.put(created);
    return freeze(created);
  }

  async review<T extends KubeObject>(kind: Kind<T>, object: Omit<T, 'metadata'>): Promise<T> {
    return this.#entry(kind).api.review(object);
  }

  // Our own writers of one object go one after another: each would only make the others look again.
  // The cache is good enough to write from, since the API refuses what relies on an old version. It is not good enough
  // to conclude that there is nothing to write: that is looked up in the API itself.
  change<T extends KubeObject>(kind: Kind<T>, ref: Ref, edit: (draft: T) => void | false): Promise<T> {
    return this.#turns.take(`${kind.apiVersion}/${kind.plural}/${keyOf(ref)}`, () => this.#change(kind, ref, edit));
  }

  async #change<T extends KubeObject>(kind: Kind<T>, ref: Ref, edit: (draft: T) => void | false): Promise<T> {
    const { informer } = this.#entry(kind);
    let cached = informer?.isSynced ? informer.cache.get(ref) : undefined;
    for (let conflicts = 0; ; ) {
      const current = cached ?? (await this.get(kind, ref, { live: true }));
      if (!current) throw failure('SIDERO_RESOURCE_MISSING', { kind: kind.kind, name: keyOf(ref) });
      const draft = copyJson(current);
      const patches = edit(draft) === false ? { main: undefined, status: undefined } : patchesOf(current, draft, kind);
      const isNothing = patches.main === undefined && patches.status === undefined;
      if (isNothing && !cached) return current;
      const written = isNothing ? undefined : await this.#write(kind, ref, { ...patches, version: current.metadata.resourceVersion });
      if (typeof written === 'object') return written.object;
      if (written === 'missing') throw failure('SIDERO_RESOURCE_MISSING', { kind: kind.kind, name: keyOf(ref) });
      cached = undefined;
      if (written !== 'conflict') continue;
      if (conflicts === CHANGE_RETRIES) throw failure('SIDERO_RESOURCE_CONFLICT', { kind: kind.kind, name: keyOf(ref) });
      await delay(RETRY_MS * 2 ** conflicts++ * (0.5 + Math.random()));
    }
  }

  // The status goes second, on top of the version that the first patch made.
  async #write<T extends KubeObject>(
    kind: Kind<T>,
    ref: Ref,
    patches: ReturnType<typeof patchesOf> & { version: string | undefined },
  ): Promise<Written<T>> {
    const { api, informer } = this.#entry(kind);
    let version = patches.version;
    let written: Written<T> = 'missing';
    for (const part of [undefined, 'status'] as const) {
      const patch = patches[part ?? 'main'];
      if (!patch) continue;
      written = await api.patch(ref, underVersion(patch, version), part);
      if (typeof written === 'string') return written;
      version = written.object.metadata.resourceVersion;
      informer?.put(written.object);
      freeze(written.object);
    }
    return written;
  }

  async remove(kind: Kind<KubeObject>, ref: Ref): Promise<void> {
    const { api, informer } = this.#entry(kind);
    const uid = await api.remove(ref);
    if (uid !== undefined) informer?.bury(ref, uid);
  }

  watch<T extends KubeObject>(kind: Kind<T>, onChange: (change: Change<T>) => void, signal: AbortSignal): Promise<void> {
    return this.#informer(kind).handle(onChange, signal);
  }

  #entry<T extends KubeObject>(kind: Kind<T>): Entry<T> {
    const key = `${kind.apiVersion}/${kind.plural}`;
    const known = this.#entries.get(key) as Entry<T> | undefined;
    if (known) return known;
    const entry: Entry<T> = { api: new KindApi(kind, this.#options.component, (verb, name) => this.#connected(verb, name)) };
    this.#entries.set(key, entry as unknown as Entry<never>);
    return entry;
  }

  #informer<T extends KubeObject>(kind: Kind<T>): Informer<T> {
    const entry = this.#entry(kind);
    if (entry.informer) return entry.informer;
    const { log, metrics, timing } = this.#options;
    entry.informer = new Informer({ kind, api: entry.api, log, metrics, timing: { ...defaultTiming, ...timing } });
    this.#run(entry.informer);
    return entry.informer;
  }

  #run(informer: { run(signal: AbortSignal): Promise<void> } | undefined): void {
    if (informer && this.#watching) this.#runs.push(informer.run(this.#watching));
  }

  #connected(verb: string, kind: string): Promise<KubeTransport> {
    if (this.#closing.signal.aborted) return Promise.reject(failure('SIDERO_CLUSTER_CLOSED', { verb, kind }));
    this.#transport ??= this.#connect();
    return this.#transport;
  }

  // A kubeconfig that could not be had is asked for again by the next call.
  async #connect(): Promise<KubeTransport> {
    const { component, log, metrics, callTimeoutMs } = this.#options;
    try {
      return createTransport({ kubeConfig: await this.#options.kubeConfig(), userAgent: component, log, metrics, timeoutMs: callTimeoutMs });
    } catch (thrown) {
      this.#transport = undefined;
      throw thrown;
    }
  }
}
