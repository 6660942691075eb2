import { randomInt, randomUUID } from 'node:crypto';
import { copyJson } from '@sidero/core';
import { type ApiObject, isJsonObject, type JsonObject, type Metadata, sameJson, textOf, timestamp } from './object.ts';
import { metadataViolations, type NameRule, readMetadata } from './registry/metadata.ts';
import type { Served } from './registry/registry.ts';
import { apiVersionOf, type ResourceType, storeName } from './registry/resource-type.ts';
import type { FieldValidation, WriteOptions } from './request.ts';
import { applyDefaults } from './schema/default.ts';
import { prune } from './schema/prune.ts';
import { newViolations, validate } from './schema/validate.ts';
import { alreadyExists, badRequest, conflict, forbidden, internalError, invalid, notFound, violation } from './status.ts';
import type { Key, Row, Store } from './store.ts';

/** What a write led to. */
export interface Written {
  /** In the version it was asked for. */
  readonly object: ApiObject;
  /** As it was stored, in the storage version; absent when nothing was. */
  readonly json?: string;
  readonly warnings: readonly string[];
}

/** An object by its place. `namespace` is empty for cluster scope. */
export interface Place {
  readonly namespace: string;
  readonly name: string;
}

/** A write may say that `metadata.managedFields` is its own; else what is there stays. */
interface Ownership {
  readonly ownsFields?: boolean;
}

export interface Update extends Place, Ownership {
  readonly subresource?: 'status' | 'finalize' | undefined;
  readonly options: WriteOptions;
  /** Makes the new object from a copy of the one there is; both in the requested version. */
  edit(current: ApiObject): JsonObject;
}

export interface Creation extends Ownership {
  readonly namespace: string;
  readonly sent: JsonObject;
  readonly options: WriteOptions;
}

export interface Deletion extends Place {
  readonly dryRun?: boolean;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

export const ORPHAN_FINALIZER = 'orphan';
export const FOREGROUND_FINALIZER = 'foregroundDeletion';

/** The life of objects: every rule between a decoded request and the store. Synchronous, so no write can come between. */
export class Objects {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws a Status 404. */
  get(served: Served, place: Place): ApiObject {
    return present(this.json(served, place), served);
  }

  /** As it is stored, in the storage version. @throws a Status 404. */
  json(served: Served, place: Place): string {
    return this.#row(served.type, place).json;
  }

  /** @throws a Status: 400, 404 (namespace), 409, 422, or what the validator says. */
  create(served: Served, creation: Creation): Written {
    const { type } = served;
    const { namespace, sent, options } = creation;
    const { object, warnings } = readObject(served, sent, options.fieldValidation);
    const { metadata } = object;
    this.#place(type, metadata, namespace);
    if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
    if (!creation.ownsFields) delete metadata.managedFields;
    begin(metadata, type);
    // A Node registers with its status; the status of every other kind is for its controller.
    if (served.version.hasStatus && type.plural !== 'nodes') delete object['status'];
    type.strategy.prepare?.(object, undefined);
    refuseInvalid(served, object, undefined);
    const key = keyOf(type, { namespace, name: metadata.name! });
    if (this.#store.get(key)) throw alreadyExists(type, metadata.name!);
    const stored = toStorage(type, object);
    type.admit?.({ operation: 'CREATE', object: copyJson(stored), oldObject: undefined });
    const written = options.dryRun ? {} : { json: this.#put(type, stored, undefined) };
    return { object: type.convert(stored, served.version.name), ...written, warnings };
  }

  /** @throws a Status: 400, 404, 409, 422, or what the validator says. */
  update(served: Served, update: Update): Written {
    const { type } = served;
    const row = this.#row(type, update);
    const current = present(row.json, served);
    const sent = update.edit(copyJson(current));
    const { object, warnings } = readObject(served, sent, update.options.fieldValidation);
    checkIdentity(type, object.metadata, current.metadata);
    carryOver(served, { object, current, update });
    if (!update.subresource) type.strategy.prepare?.(object, current);
    refuseInvalid(served, object, current);
    if (sameJson(object, current)) return { object: current, warnings };
    const stored = toStorage(type, object);
    if (!update.subresource) type.admit?.({ operation: 'UPDATE', object: copyJson(stored), oldObject: parse(row.json) });
    const json = update.options.dryRun ? undefined : this.#replace(type, row, stored);
    return { object: type.convert(stored, served.version.name), ...(json === undefined ? {} : { json }), warnings };
  }

  /** Returns the object when finalizers keep it, undefined when it is gone. @throws a Status: 403, 404, 409. */
  delete(served: Served, deletion: Deletion): { readonly pending: ApiObject | undefined; readonly last: ApiObject } {
    const { type } = served;
    const row = this.#row(type, deletion);
    const object = parse(row.json);
    checkPreconditions(type, object.metadata, deletion);
    type.strategy.beforeDelete?.(object);
    type.admit?.({ operation: 'DELETE', object: undefined, oldObject: copyJson(object) });
    const before = copyJson(object);
    setPropagation(object.metadata, deletion.propagation);
    if (isHeld(object)) {
      markDeleted(object);
      if (!deletion.dryRun && !sameJson(before, object)) this.#put(type, object, row);
      return { pending: type.convert(object, served.version.name), last: object };
    }
    if (!deletion.dryRun) this.#store.remove(row, object);
    return { pending: undefined, last: type.convert(object, served.version.name) };
  }

  #row(type: ResourceType, place: Place): Row {
    const row = this.#store.get(keyOf(type, place));
    if (!row) throw notFound(type, place.name);
    return row;
  }

  // Checks namespace and name against the path, and completes them.
  #place(type: ResourceType, metadata: Metadata, namespace: string): void {
    if (!type.namespaced) {
      if (metadata.namespace) throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
      delete metadata.namespace;
    } else {
      if (namespace === '') throw badRequest('an object of this kind needs a namespace in its path');
      if (metadata.namespace && metadata.namespace !== namespace)
        throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
      metadata.namespace = namespace;
      this.#namespaceFor(type, metadata, namespace);
    }
    if (!metadata.name && metadata.generateName) metadata.name = this.#freeName(type, namespace, metadata.generateName);
  }

  #namespaceFor(type: ResourceType, metadata: Metadata, namespace: string): void {
    const row = this.#store.get({ resource: 'namespaces', namespace: '', name: namespace });
    if (!row) throw notFound({ group: '', plural: 'namespaces' }, namespace);
    if (!parse(row.json).metadata.deletionTimestamp) return;
    const refusal = forbidden(type, metadata.name ?? '', `unable to create new content in namespace ${namespace} because it is being terminated`);
    refusal.details!.causes = [
      { reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' },
    ];
    throw refusal;
  }

  #freeName(type: ResourceType, namespace: string, prefix: string): string {
    for (let attempt = 0; attempt < 8; attempt++) {
      const name = prefix.slice(0, 58) + Array.from({ length: 5 }, () => NAME_LETTERS[randomInt(NAME_LETTERS.length)]).join('');
      if (!this.#store.get(keyOf(type, { namespace, name }))) return name;
    }
    throw alreadyExists(type, prefix);
  }

  // An object whose last finalizer went goes with it.
  #replace(type: ResourceType, row: Row, object: ApiObject): string | undefined {
    if (!object.metadata.deletionTimestamp || isHeld(object)) return this.#put(type, object, row);
    this.#store.remove(row, object);
    return undefined;
  }

  #put(type: ResourceType, object: ApiObject, previous: Row | undefined): string {
    const { ttlMs } = type.strategy;
    const { namespace = '', name = '' } = object.metadata;
    const expires = ttlMs === undefined ? undefined : Date.now() + ttlMs;
    return this.#store.put(keyOf(type, { namespace, name }), object, { previous, expires });
  }
}

// No vowels and no digits that look like them, so that no words arise.
const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

export function keyOf(type: ResourceType, place: Place): Key {
  return { resource: storeName(type), namespace: type.namespaced ? place.namespace : '', name: place.name };
}

export function parse(json: string): ApiObject {
  return JSON.parse(json) as ApiObject;
}

/** A stored object in the version a client asked for. */
export function present(json: string, { type, version }: Served): ApiObject {
  return converted(type, parse(json), version.name);
}

// With apiVersion in front: `isIn` looks there.
function toStorage(type: ResourceType, object: ApiObject): ApiObject {
  const { apiVersion, kind, metadata, ...content } = converted(type, object, type.storageVersion);
  return { apiVersion, kind, metadata, ...content };
}

/** True when a stored text is in that version and can be shown as it is. */
export function isIn(json: string, { type, version }: Served): boolean {
  return json.startsWith(`{"apiVersion":"${apiVersionOf(type.group, version.name)}",`);
}

function converted(type: ResourceType, object: ApiObject, version: string): ApiObject {
  try {
    return type.convert(object, version);
  } catch (error) {
    throw internalError(
      `conversion of ${type.kind} ${object.metadata.name ?? ''} to ${apiVersionOf(type.group, version)} failed: ${(error as Error).message}`,
    );
  }
}

/** Checks kind and version of what was sent, prunes and defaults it. */
function readObject({ type, version }: Served, sent: JsonObject, fieldValidation: FieldValidation): Written {
  const apiVersion = apiVersionOf(type.group, version.name);
  const given = { apiVersion: sent['apiVersion'] || apiVersion, kind: sent['kind'] || type.kind };
  if (given.kind !== type.kind || given.apiVersion !== apiVersion) {
    throw badRequest(`the object is a ${textOf(given.kind)} of ${textOf(given.apiVersion)}, this path takes a ${type.kind} of ${apiVersion}`);
  }
  const { metadata, unknown } = readMetadata(sent['metadata'], type.kind);
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...content } = sent;
  const object: ApiObject = { apiVersion, kind: type.kind, metadata, ...content };
  if (version.schema) unknown.unshift(...prune(object, version.schema));
  if (version.schema && version.hasDefaults) applyDefaults(object, version.schema);
  const found = unknown.toSorted().map((path) => `unknown field ${JSON.stringify(path)}`);
  if (fieldValidation === 'Strict' && found.length > 0) {
    throw badRequest(
      `${type.kind} in version ${JSON.stringify(version.name)} cannot be handled as a ${type.kind}: strict decoding error: ${found.join(', ')}`,
    );
  }
  const deprecation = version.deprecation ? [version.deprecation] : [];
  return { object, warnings: fieldValidation === 'Ignore' ? deprecation : [...deprecation, ...found] };
}

// What the server sets on a new object, whatever the client sent.
function begin(metadata: Metadata, type: ResourceType): void {
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp();
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  delete metadata.generation;
  if (type.origin === 'definition' || type.group === 'apiextensions.k8s.io') metadata.generation = 1;
}

function refuseInvalid({ type, version }: Served, object: ApiObject, old: ApiObject | undefined): void {
  const found = [...metadataViolations(object.metadata, nameRule(type)), ...finalizerViolations(object.metadata, old?.metadata)];
  if (version.schema) {
    const ofSchema = validate(object, version.schema, old);
    found.push(...(old ? newViolations(ofSchema, object, old) : ofSchema));
  }
  found.push(...(type.strategy.check?.(object, old) ?? []));
  if (found.length > 0) throw invalid(type, object.metadata.name ?? '', found);
}

function nameRule(type: ResourceType): NameRule {
  return type.plural === 'namespaces' && type.group === '' ? 'label' : 'subdomain';
}

function finalizerViolations(metadata: Metadata, old: Metadata | undefined) {
  if (!old?.deletionTimestamp) return [];
  const added = (metadata.finalizers ?? []).filter((one) => !old.finalizers?.includes(one));
  if (added.length === 0) return [];
  const list = added.map((one) => JSON.stringify(one)).join(', ');
  return [
    violation.forbidden(
      'metadata.finalizers',
      `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`,
    ),
  ];
}

// The object must be the one on the path, and the one the client has seen if it says so.
function checkIdentity(type: ResourceType, sent: Metadata, current: Metadata): void {
  const name = current.name ?? '';
  if (sent.name !== undefined && sent.name !== name)
    throw badRequest(`the name of the object (${sent.name}) does not match the name on the URL (${name})`);
  if (sent.namespace && sent.namespace !== current.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  if (sent.uid && sent.uid !== current.uid) {
    throw conflict(type, name, `Precondition failed: UID in precondition: ${sent.uid}, UID in object meta: ${current.uid}`);
  }
  if (sent.resourceVersion && sent.resourceVersion !== current.resourceVersion) throw conflict(type, name);
}

const SERVER_FIELDS = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generateName',
  'generation',
] as const;

// Keeps what this request may not change, and counts the generation.
function carryOver({ version }: Served, change: { object: ApiObject; current: ApiObject; update: Update }): void {
  const { object, current, update } = change;
  if (!update.ownsFields) keepOwnership(object.metadata, current.metadata);
  if (update.subresource === 'status') {
    const { status } = object;
    const { managedFields } = object.metadata;
    replaceContent(object, { ...copyJson(current), ...(status === undefined ? {} : { status }) });
    if (status === undefined) delete object['status'];
    if (managedFields) object.metadata.managedFields = managedFields;
    return;
  }
  const metadata: JsonObject = object.metadata;
  for (const field of SERVER_FIELDS) {
    if (current.metadata[field] === undefined) delete metadata[field];
    else metadata[field] = current.metadata[field];
  }
  if (version.hasStatus) {
    delete object['status'];
    if (current['status'] !== undefined) object['status'] = copyJson(current['status']);
  }
  if (current.metadata.generation !== undefined && !sameJson(desired(object, version.hasStatus), desired(current, version.hasStatus))) {
    object.metadata.generation = current.metadata.generation + 1;
  }
}

// An empty list resets ownership, as clients ask for it.
function keepOwnership(sent: Metadata, current: Metadata): void {
  if (current.managedFields) sent.managedFields = current.managedFields;
  else delete sent.managedFields;
}

function replaceContent(object: JsonObject, content: JsonObject): void {
  for (const key of Object.keys(object)) delete object[key];
  Object.assign(object, content);
}

function desired({ metadata: _metadata, ...rest }: ApiObject, hasStatus: boolean): JsonObject {
  return hasStatus ? { ...rest, status: undefined } : rest;
}

function checkPreconditions(type: ResourceType, metadata: Metadata, { uid, resourceVersion, name }: Deletion): void {
  if (uid !== undefined && uid !== metadata.uid) {
    throw conflict(type, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw conflict(
      type,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
    );
  }
}

function setPropagation(metadata: Metadata, propagation: Deletion['propagation']): void {
  if (propagation === undefined) return;
  const wanted = propagation === 'Orphan' ? ORPHAN_FINALIZER : propagation === 'Foreground' ? FOREGROUND_FINALIZER : undefined;
  const kept = (metadata.finalizers ?? []).filter((one) => one !== ORPHAN_FINALIZER && one !== FOREGROUND_FINALIZER);
  const finalizers = wanted ? [...kept, wanted] : kept;
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
}

/** True while something must happen before a deleted object may go. A namespace holds itself by `spec.finalizers`. */
function isHeld({ kind, apiVersion, metadata, spec }: ApiObject): boolean {
  if ((metadata.finalizers ?? []).length > 0) return true;
  const held = kind === 'Namespace' && apiVersion === 'v1' && isJsonObject(spec) ? spec['finalizers'] : undefined;
  return Array.isArray(held) && held.length > 0;
}

function markDeleted(object: ApiObject): void {
  const { metadata } = object;
  if (metadata.deletionTimestamp) return;
  metadata.deletionTimestamp = timestamp();
  metadata.deletionGracePeriodSeconds = 0;
  if (metadata.generation !== undefined) metadata.generation += 1;
  if (object.kind === 'Namespace' && object.apiVersion === 'v1')
    object['status'] = { ...(isJsonObject(object['status']) ? object['status'] : {}), phase: 'Terminating' };
}
