import { type Logger, messageOf } from '@sidero/core';
import { CLEANUP_FINALIZER, DEFINITIONS } from './definitions.ts';
import type { ApiObject, OwnerReference } from './object.ts';
import { FOREGROUND_FINALIZER, type Objects, ORPHAN_FINALIZER, parse, type Update } from './objects.ts';
import type { Served, TypeRegistry } from './registry/registry.ts';
import { ApiError } from './status.ts';
import type { Change, Key, Row, Store } from './store.ts';

/** Time between looks for what has expired or has to be tried again, in ms. */
const SWEEP_INTERVAL_MS = 30_000;

/** Objects looked at before others get their turn; they also share a transaction. */
const BATCH = 100;

/**
 * Does what no request waits for: removes dependents of deleted owners (background, foreground, orphan), empties deleted
 * namespaces and definitions, and lets events expire. Starts from what the store holds, so a restart loses nothing.
 */
export class GarbageCollector {
  readonly #store: Store;
  readonly #objects: Objects;
  readonly #types: TypeRegistry;
  readonly #log: Logger | undefined;
  /** Objects to look at, by their place; in order of arrival. */
  readonly #due = new Map<string, Key>();
  readonly #retry = new Map<string, Key>();
  /** Objects that wait for others to go. */
  readonly #waiting = new Map<string, Key>();
  #timer: NodeJS.Timeout | undefined;
  #isScheduled = false;

  constructor(given: { store: Store; objects: Objects; types: TypeRegistry; log?: Logger | undefined }) {
    this.#store = given.store;
    this.#objects = given.objects;
    this.#types = given.types;
    this.#log = given.log;
  }

  /** Looks once at everything that may be due, then runs until `stop`. */
  start(): void {
    for (const key of this.#store.deletedOrOwned()) this.#add(key);
    this.#timer = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
    this.#sweep();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#due.clear();
  }

  /** Takes committed changes. */
  changed(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.type === 'DELETED') {
        for (const key of this.#store.dependents(parse(change.json).metadata.uid ?? '')) this.#add(key);
        for (const key of this.#waiting.values()) this.#add(key);
      } else if (concernsUs(change.json)) this.#add(change);
    }
  }

  #add(key: Key): void {
    if (!this.#timer) return;
    this.#due.set(placeOf(key), { resource: key.resource, namespace: key.namespace, name: key.name });
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#work());
  }

  #work(): void {
    this.#isScheduled = false;
    if (!this.#timer) return;
    for (const [place, key] of [...this.#due].slice(0, BATCH)) {
      this.#due.delete(place);
      this.#waiting.delete(place);
      try {
        this.#look(key);
      } catch (error) {
        // A validator may refuse, a conversion fail: the object stays, and is tried again with the next sweep.
        this.#retry.set(place, key);
        this.#log?.warn(
          { resource: key.resource, namespace: key.namespace, name: key.name, reason: messageOf(error) },
          'garbage collection is tried again',
        );
      }
    }
    const [next] = this.#due.values();
    if (next) this.#add(next);
  }

  #sweep(): void {
    for (const key of this.#store.expiredAt(Date.now())) {
      const row = this.#store.get(key);
      if (row) this.#store.remove(row, parse(row.json));
    }
    for (const key of this.#retry.values()) this.#add(key);
    this.#retry.clear();
  }

  #look(key: Key): void {
    const row = this.#store.get(key);
    const served = this.#served(key.resource);
    if (!row || !served) return;
    const object = parse(row.json);
    if (object.metadata.deletionTimestamp) this.#finish(served, row, object);
    if (this.#store.get(key) && (object.metadata.ownerReferences ?? []).length > 0) this.#lookAtOwners(served, row, object);
  }

  #served(resource: string): Served | undefined {
    const type = this.#types.get(resource);
    const version = type?.versions.find(({ name }) => name === type.storageVersion) ?? type?.versions[0];
    return type && version ? { type, version } : undefined;
  }

  // The object is deleted: does what its finalizers of ours stand for.
  #finish(served: Served, row: Row, object: ApiObject): void {
    const finalizers = object.metadata.finalizers ?? [];
    if (row.resource === 'namespaces') this.#emptyNamespace(served, row);
    if (finalizers.includes(ORPHAN_FINALIZER)) this.#orphan(served, row);
    else if (finalizers.includes(FOREGROUND_FINALIZER)) this.#deleteForeground(served, row);
    if (row.resource === DEFINITIONS && finalizers.includes(CLEANUP_FINALIZER)) this.#emptyDefinition(served, row);
  }

  #emptyNamespace(served: Served, row: Row): void {
    const content = this.#store.inNamespace(row.name);
    for (const key of content) this.#deleteKey(key, {});
    if (this.#store.inNamespace(row.name).length > 0) {
      this.#waiting.set(placeOf(row), row);
      return;
    }
    this.#update(served, row, { subresource: 'finalize', edit: (namespace) => ({ ...namespace, spec: {} }) });
  }

  #emptyDefinition(served: Served, row: Row): void {
    for (const instance of this.#store.list(row.name)) this.#deleteKey(instance, {});
    if (this.#store.count(row.name) > 0) this.#waiting.set(placeOf(row), row);
    else this.#update(served, row, { edit: withoutFinalizer(CLEANUP_FINALIZER) });
  }

  #orphan(served: Served, row: Row): void {
    for (const key of this.#store.dependents(row.uid)) {
      const type = this.#served(key.resource);
      if (type) this.#update(type, key, { edit: withoutOwners((owner) => owner.uid === row.uid) });
    }
    this.#update(served, row, { edit: withoutFinalizer(ORPHAN_FINALIZER) });
  }

  #deleteForeground(served: Served, row: Row): void {
    const dependents = this.#store.dependents(row.uid);
    for (const key of dependents) this.#add(key);
    const blocks = dependents.some((key) => {
      const dependent = this.#store.get(key);
      return dependent && ownersOf(dependent).some((owner) => owner.uid === row.uid && owner.blockOwnerDeletion);
    });
    if (blocks) this.#waiting.set(placeOf(row), row);
    else this.#update(served, row, { edit: withoutFinalizer(FOREGROUND_FINALIZER) });
  }

  // Goes with its last owner; owners that are gone are struck while others stay.
  #lookAtOwners(served: Served, row: Row, object: ApiObject): void {
    const owners = (object.metadata.ownerReferences ?? []).map((owner) => ({ owner, state: this.#ownerState(owner) }));
    const lost = owners.filter(({ state }) => state !== 'alive').map(({ owner }) => owner.uid);
    if (lost.length === 0) return;
    if (lost.length < owners.length) {
      this.#update(served, row, { edit: withoutOwners((owner) => lost.includes(owner.uid)) });
      return;
    }
    if (object.metadata.deletionTimestamp) return;
    const isForeground = owners.some(({ state }) => state === 'ending') && this.#store.dependents(row.uid).length > 0;
    this.#deleteKey(row, isForeground ? { propagation: 'Foreground' } : {});
  }

  #ownerState({ uid }: OwnerReference): 'alive' | 'ending' | 'gone' {
    const row = this.#store.byUid(uid);
    if (!row) return 'gone';
    const { deletionTimestamp, finalizers } = parse(row.json).metadata;
    return deletionTimestamp && finalizers?.includes(FOREGROUND_FINALIZER) ? 'ending' : 'alive';
  }

  #deleteKey(key: Key, options: { propagation?: 'Foreground' }): void {
    const served = this.#served(key.resource);
    const row = this.#store.get(key);
    if (!served || !row) return;
    if (row.json.includes('"deletionTimestamp"') && parse(row.json).metadata.deletionTimestamp) return;
    this.#objects.delete(served, { namespace: key.namespace, name: key.name, uid: row.uid, ...options });
  }

  #update(served: Served, key: Key, change: Pick<Update, 'edit' | 'subresource'>): void {
    const options = { dryRun: false, fieldValidation: 'Ignore' as const, manager: 'garbage-collector' };
    try {
      this.#objects.update(served, { namespace: key.namespace, name: key.name, options, ...change });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 404)) throw error;
    }
  }
}

const placeOf = ({ resource, namespace, name }: Key) => `${resource} ${namespace}/${name}`;

// A look at the text spares parsing what has neither owners nor an end.
const concernsUs = (json: string) => json.includes('"ownerReferences"') || json.includes('"deletionTimestamp"');

const ownersOf = (row: Row) => parse(row.json).metadata.ownerReferences ?? [];

function withoutFinalizer(name: string): Update['edit'] {
  return (object) => ({ ...object, metadata: { ...object.metadata, finalizers: (object.metadata.finalizers ?? []).filter((one) => one !== name) } });
}

function withoutOwners(isLost: (owner: OwnerReference) => boolean): Update['edit'] {
  return (object) => ({
    ...object,
    metadata: { ...object.metadata, ownerReferences: (object.metadata.ownerReferences ?? []).filter((one) => !isLost(one)) },
  });
}
