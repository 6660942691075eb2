import { isDeepStrictEqual } from 'node:util';
import { type Kind, type KubeObject, type Ref, type ResourceClient } from '@sidero/core';

type Listener = (kind: string, name: string, object: KubeObject | undefined) => void;

const keyOf = (kind: Pick<Kind<KubeObject>, 'kind'>, { namespace, name }: Ref) => `${kind.kind}/${namespace ?? ''}/${name}`;

/** The API in memory: versions, finalizers, deletion. Everybody who works with it has a `MemoryClient`. */
export class MemoryApi {
  readonly objects = new Map<string, KubeObject>();
  readonly events: { readonly type: string; readonly reason: string; readonly message: string }[] = [];
  /** Writes of Servers. */
  writes = 0;
  readonly #listeners = new Set<Listener>();
  readonly #now: () => Date;
  #version = 0;

  constructor(now: () => Date) {
    this.#now = now;
    this.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system', uid: 'us' } });
  }

  listen(listener: Listener): void {
    this.#listeners.add(listener);
  }

  put(object: KubeObject): void {
    const creationTimestamp = object.metadata.creationTimestamp ?? `${this.#now().toISOString().slice(0, 19)}Z`;
    const kept = { ...object, metadata: { ...object.metadata, creationTimestamp, resourceVersion: String(++this.#version) } };
    this.objects.set(keyOf(object, object.metadata), kept);
    for (const tell of this.#listeners) tell(object.kind, object.metadata.name, kept);
  }

  drop(kind: Pick<Kind<KubeObject>, 'kind'>, ref: Ref): void {
    const object = this.objects.get(keyOf(kind, ref));
    if (!object) return;
    if (object.metadata.finalizers?.length) {
      if (!object.metadata.deletionTimestamp) this.put({ ...object, metadata: { ...object.metadata, deletionTimestamp: this.#now().toISOString() } });
      return;
    }
    this.objects.delete(keyOf(kind, ref));
    for (const tell of this.#listeners) tell(kind.kind, ref.name, undefined);
  }

  get<T extends KubeObject>(kind: Kind<T>, ref: Ref): T | undefined {
    return this.objects.get(keyOf(kind, ref)) as T | undefined;
  }

  /** @throws SIDERO_RESOURCE_MISSING */
  change<T extends KubeObject>(kind: Kind<T>, ref: Ref, edit: (draft: T) => void | false): T {
    const current = this.get(kind, ref);
    if (!current) throw new Error(`${kind.kind} ${ref.name} is missing`);
    const draft = copyOf(current) as T;
    if (edit(draft) === false || isDeepStrictEqual(draft, current)) return current;
    this.writes++;
    if (draft.metadata.deletionTimestamp && !draft.metadata.finalizers?.length) {
      this.objects.delete(keyOf(kind, ref));
      for (const tell of this.#listeners) tell(kind.kind, ref.name, undefined);
    } else this.put(draft);
    return this.get(kind, ref) ?? draft;
  }
}

// Of plain objects only; many times as fast as structuredClone, which counts over ten thousand schedules.
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(value)) copy[key] = copyOf(part);
  return copy;
}

export interface MemoryClientOptions {
  readonly api: MemoryApi;
  /** False: the process has ended. Nothing that it still does has an effect, and nothing answers it. */
  readonly isAlive: () => boolean;
  /** Whether this call fails, before or after it had its effect. */
  readonly fate: () => 'fine' | 'fails' | 'fails afterwards';
  /** What the cache of this process has of an object. */
  readonly cached: (kind: string, name: string) => KubeObject | undefined;
}

const gone = () => new Promise<never>(() => undefined);

/** What one process sees of the API. */
export function memoryClient({ api, isAlive, fate, cached }: MemoryClientOptions): ResourceClient {
  const call = async <T>(verb: string, work: () => T): Promise<T> => {
    await Promise.resolve();
    if (!isAlive()) return gone();
    const how = fate();
    const unreachable = () => Object.assign(new Error(`${verb} was not answered`), { code: 'SIDERO_RESOURCE_UNREACHABLE' });
    if (how === 'fails') throw unreachable();
    const result = work();
    await Promise.resolve();
    if (!isAlive()) return gone();
    if (how === 'fails afterwards') throw unreachable();
    return result;
  };
  const client: Pick<ResourceClient, 'get' | 'list' | 'change' | 'record'> = {
    get: async (kind, ref, options) => {
      if (!options?.live && (kind.kind === 'Server' || kind.kind === 'ServerBinding')) return cached(kind.kind, ref.name) as never;
      return call('get', () => api.get(kind, ref));
    },
    list: async (kind) => [...api.objects.values()].filter((object) => object.kind === kind.kind) as never,
    change: (kind, ref, edit) => call('change', () => api.change(kind, ref, edit)),
    record: async (_about, { type, reason, message }) => void (isAlive() && api.events.push({ type, reason, message })),
  };
  return client as ResourceClient;
}
