import { failure } from '../errors.ts';
import type { Change } from './client.ts';
import type { KubeObject, Ref } from './kinds.ts';
import { isNewer, newest } from './resource-version.ts';

type Keys<T> = (object: T) => readonly string[];

interface Index<T> {
  readonly keys: Keys<T>;
  readonly byKey: Map<string, Set<string>>;
}

/** `namespace/name`, or `name` for cluster-scoped objects. */
export function keyOf({ namespace, name }: Ref): string {
  return namespace ? `${namespace}/${name}` : name;
}

/** The other way round. */
export function refOf(key: string): Ref {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Makes a value and all that is in it read-only. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) freeze(member);
  return Object.freeze(value);
}

/**
 * The objects of one kind as last known, with indexes. Fed from three sides: lists, watch events in their order, and
 * the answers to our own calls, which may arrive before or after the event of the same write. Nothing older ever
 * replaces something newer, whichever side it comes from. Each method tells what changed for a reader of the cache.
 */
export class ObjectCache<T extends KubeObject> {
  readonly #kind: string;
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();
  /** uids of objects we removed and whose last events are still to come. */
  readonly #buried = new Set<string>();
  /** Everything up to this version has been applied, from lists and watch events. */
  #applied: string | undefined;
  /** The newest version known of anything here. */
  #highest: string | undefined;

  constructor(kind: string) {
    this.#kind = kind;
  }

  get size(): number {
    return this.#objects.size;
  }

  get highest(): string | undefined {
    return this.#highest;
  }

  get(ref: Ref): T | undefined {
    return this.#objects.get(keyOf(ref));
  }

  list(namespace?: string): T[] {
    const all = [...this.#objects.values()];
    return namespace === undefined ? all : all.filter(({ metadata }) => metadata.namespace === namespace);
  }

  /** @throws SIDERO_INDEX_INVALID */
  find(name: string, key: string): T[] {
    const keys = this.#index(name).byKey.get(key) ?? [];
    return [...keys].map((of) => this.#objects.get(of)!);
  }

  /** The keys under which an index holds an object. @throws SIDERO_INDEX_INVALID */
  indexKeys(name: string, object: T): readonly string[] {
    return this.#index(name).keys(object);
  }

  /** @throws SIDERO_INDEX_INVALID */
  addIndex(name: string, keys: Keys<T>): void {
    if (this.#indexes.has(name)) throw failure('SIDERO_INDEX_INVALID', { kind: this.#kind, index: name, problem: 'it is declared twice' });
    const index: Index<T> = { keys, byKey: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) enter(index, key, object);
  }

  /** An event of the watch. Events come in order, so this one is newer than all that was applied. */
  apply(event: { readonly type: 'put' | 'removed'; readonly object: T }): Change<T> | undefined {
    const { resourceVersion, uid } = event.object.metadata;
    this.advance(resourceVersion);
    if (event.type === 'removed') return this.#applyRemoval(event.object);
    if (uid !== undefined && this.#buried.has(uid)) return undefined;
    const known = this.get(event.object.metadata);
    const isOurs =
      known !== undefined && (known.metadata.resourceVersion === resourceVersion || isNewer(known.metadata.resourceVersion, resourceVersion));
    return isOurs ? undefined : this.#set(event.object);
  }

  #applyRemoval(object: T): Change<T> | undefined {
    if (object.metadata.uid !== undefined) this.#buried.delete(object.metadata.uid);
    const known = this.get(object.metadata);
    // Already there again: our own create, whose event is still to come.
    if (!known || isNewer(known.metadata.resourceVersion, object.metadata.resourceVersion)) return undefined;
    return this.#delete(known, object);
  }

  /** A bookmark: nothing happened up to this version. */
  advance(version: string | undefined): void {
    this.#applied = version;
    this.#highest = newest(this.#highest, version);
  }

  /** The answer to a call of ours. It may be older than what the watch told meanwhile: then it counts for nothing. */
  put(object: T): Change<T> | undefined {
    const { resourceVersion, uid } = object.metadata;
    if (this.#applied !== undefined && !isNewer(resourceVersion, this.#applied)) return undefined;
    const known = this.get(object.metadata);
    if ((uid !== undefined && this.#buried.has(uid)) || (known && !isNewer(resourceVersion, known.metadata.resourceVersion))) return undefined;
    this.#highest = newest(this.#highest, resourceVersion);
    return this.#set(object);
  }

  /** We removed the object with this uid; events about it that are still under way count for nothing. */
  bury(ref: Ref, uid: string): Change<T> | undefined {
    this.#buried.add(uid);
    const known = this.get(ref);
    return known?.metadata.uid === uid ? this.#delete(known, known) : undefined;
  }

  /**
   * A complete list at `version`. `before`: `highest` when the list was asked for. What we hold that is newer than the
   * list stays, unless the API itself went back in time (its data was restored): then the list is right.
   */
  replace(objects: readonly T[], at: { readonly version: string | undefined; readonly before: string | undefined }): Change<T>[] {
    const wentBack = isNewer(at.before, at.version);
    const holds = (known: T | undefined, other: string | undefined) =>
      !wentBack && known !== undefined && isNewer(known.metadata.resourceVersion, other);
    const living = objects.filter(({ metadata }) => metadata.uid === undefined || !this.#buried.has(metadata.uid));
    const listed = new Map(living.map((object) => [keyOf(object.metadata), object]));
    const gone = [...this.#objects]
      .filter(([key, known]) => !listed.has(key) && !holds(known, at.version))
      .map(([, known]) => this.#delete(known, known));
    const put = living.flatMap((object) => {
      const known = this.get(object.metadata);
      const isSame = known?.metadata.resourceVersion === object.metadata.resourceVersion && known?.metadata.uid === object.metadata.uid;
      return isSame || holds(known, object.metadata.resourceVersion) ? [] : this.#renew(known, object);
    });
    const uids = new Set(objects.map(({ metadata }) => metadata.uid));
    for (const uid of this.#buried) if (!uids.has(uid)) this.#buried.delete(uid);
    this.#applied = at.version;
    this.#highest = wentBack ? at.version : newest(this.#highest, at.version);
    return [...gone, ...put];
  }

  // An object that was removed and made anew while nobody looked is two changes.
  #renew(known: T | undefined, object: T): Change<T>[] {
    const isAnother = known !== undefined && known.metadata.uid !== object.metadata.uid;
    return [...(isAnother ? [this.#delete(known, known)] : []), this.#set(object)];
  }

  #set(object: T): Change<T> {
    const key = keyOf(object.metadata);
    const old = this.#objects.get(key);
    freeze(object);
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) {
      if (old) leave(index, key, old);
      enter(index, key, object);
    }
    return old ? { type: 'changed', object, old } : { type: 'added', object };
  }

  #delete(old: T, last: T): Change<T> {
    const key = keyOf(old.metadata);
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) leave(index, key, old);
    return { type: 'removed', object: freeze(last), old };
  }

  #index(name: string): Index<T> {
    const index = this.#indexes.get(name);
    if (!index) throw failure('SIDERO_INDEX_INVALID', { kind: this.#kind, index: name, problem: 'nobody declared it' });
    return index;
  }
}

function enter<T>(index: Index<T>, of: string, object: T): void {
  for (const key of index.keys(object)) {
    const entries = index.byKey.get(key) ?? new Set();
    index.byKey.set(key, entries.add(of));
  }
}

function leave<T>(index: Index<T>, of: string, object: T): void {
  for (const key of index.keys(object)) {
    const entries = index.byKey.get(key);
    entries?.delete(of);
    if (entries?.size === 0) index.byKey.delete(key);
  }
}
