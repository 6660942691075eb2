import type { CustomResource, CustomResourceDefinition } from '@sidero/core';
import { failure } from './errors.ts';
import { type ApiObject, isJsonObject, type JsonObject, sameJson, timestamp } from './object.ts';
import { keyOf, parse } from './objects.ts';
import { BUILT_IN_TYPES, EXTENSIONS_GROUP } from './registry/built-in.ts';
import { customResourceType } from './registry/custom-resource-type.ts';
import { readMetadata } from './registry/metadata.ts';
import type { TypeRegistry } from './registry/registry.ts';
import { type ResourceType, type Strategy } from './registry/resource-type.ts';
import { type FieldViolation, forbidden, violation } from './status.ts';
import type { Change, Store } from './store.ts';

/** Store name of the definitions. */
export const DEFINITIONS = 'customresourcedefinitions.apiextensions.k8s.io';

/** Keeps a deleted definition until its objects are gone. */
export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

/** The resource of CustomResourceDefinitions; `provided` are those of plugins, which stay as the plugins made them. */
function definitionType(provided: ReadonlyMap<string, CustomResource>): ResourceType {
  const type = BUILT_IN_TYPES.find(({ plural, group }) => plural === 'customresourcedefinitions' && group === EXTENSIONS_GROUP)!;
  return { ...type, strategy: definitionStrategy(provided) };
}

function definitionStrategy(provided: ReadonlyMap<string, CustomResource>): Strategy {
  return {
    prepare(object, old) {
      const own = provided.get(object.metadata.name ?? '');
      if (own) object['spec'] = structuredClone(own.definition.spec);
      complete(object);
      if (old) {
        object['status'] = nextStatus(object, old);
        return;
      }
      object.metadata.finalizers = [...new Set([...(object.metadata.finalizers ?? []), CLEANUP_FINALIZER])];
      object['status'] = statusOf(object);
    },
    check: (object, old) => definitionViolations(object, old),
    beforeDelete({ metadata }) {
      if (provided.has(metadata.name ?? ''))
        throw forbidden(
          { group: EXTENSIONS_GROUP, plural: 'customresourcedefinitions' },
          metadata.name ?? '',
          'it belongs to a plugin; take the plugin out of sidero.config.ts instead',
        );
    },
  };
}

// What kube-apiserver fills in.
function complete(object: ApiObject): void {
  const spec = object['spec'];
  if (!isJsonObject(spec) || !isJsonObject(spec['names'])) return;
  const { names } = spec;
  if (typeof names['kind'] === 'string') {
    names['listKind'] ??= `${names['kind']}List`;
    names['singular'] ??= names['kind'].toLowerCase();
  }
  spec['conversion'] ??= { strategy: 'None' };
}

function statusOf(object: ApiObject): JsonObject {
  const spec = object['spec'] as JsonObject;
  const lastTransitionTime = timestamp();
  const versions = Array.isArray(spec?.['versions']) ? (spec['versions'] as JsonObject[]) : [];
  return {
    acceptedNames: spec?.['names'],
    conditions: [
      { type: 'NamesAccepted', status: 'True', lastTransitionTime, reason: 'NoConflicts', message: 'no conflicts found' },
      { type: 'Established', status: 'True', lastTransitionTime, reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' },
    ],
    storedVersions: versions.filter((one) => one['storage'] === true).map((one) => one['name']),
  };
}

// After a change: names are accepted as they are, versions once stored stay listed.
function nextStatus(object: ApiObject, old: ApiObject): JsonObject {
  const { acceptedNames, storedVersions } = statusOf(object);
  const before = isJsonObject(old['status']) ? old['status'] : {};
  const stored = new Set([before['storedVersions'], storedVersions].flat().filter((one) => typeof one === 'string'));
  return { ...before, acceptedNames, storedVersions: [...stored] };
}

function definitionViolations(object: ApiObject, old: ApiObject | undefined): FieldViolation[] {
  const spec = object['spec'];
  if (!isJsonObject(spec)) return [violation.required('spec')];
  const names = isJsonObject(spec['names']) ? spec['names'] : {};
  const found: FieldViolation[] = [];
  for (const field of ['group', 'scope']) if (typeof spec[field] !== 'string' || spec[field] === '') found.push(violation.required(`spec.${field}`));
  for (const field of ['plural', 'kind'])
    if (typeof names[field] !== 'string' || names[field] === '') found.push(violation.required(`spec.names.${field}`));
  if (found.length > 0) return found;
  const wanted = `${String(names['plural'])}.${String(spec['group'])}`;
  if (object.metadata.name !== wanted)
    found.push(violation.invalid('metadata.name', object.metadata.name, 'must be spec.names.plural+"."+spec.group'));
  if (spec['scope'] !== 'Cluster' && spec['scope'] !== 'Namespaced')
    found.push(violation.unsupported('spec.scope', spec['scope'], ['Cluster', 'Namespaced']));
  const before = isJsonObject(old?.['spec']) ? old['spec'] : undefined;
  if (before && before['scope'] !== spec['scope']) found.push(violation.invalid('spec.scope', spec['scope'], 'field is immutable'));
  return [...found, ...versionViolations(spec), ...servingViolations(object)];
}

function versionViolations(spec: JsonObject): FieldViolation[] {
  const versions = spec['versions'];
  if (!Array.isArray(versions) || versions.length === 0) return [violation.required('spec.versions')];
  const found = versions.flatMap((one: unknown, index) => {
    const schema = isJsonObject(one) && isJsonObject(one['schema']) ? one['schema']['openAPIV3Schema'] : undefined;
    if (!isJsonObject(one) || typeof one['name'] !== 'string') return [violation.required(`spec.versions[${index}].name`)];
    if (!isJsonObject(schema)) return [violation.required(`spec.versions[${index}].schema.openAPIV3Schema`, 'schemas are required')];
    return schema['type'] === 'object'
      ? []
      : [violation.invalid(`spec.versions[${index}].schema.openAPIV3Schema.type`, schema['type'] ?? '', 'must be object at the root')];
  });
  const stored = versions.filter((one: unknown) => isJsonObject(one) && one['storage'] === true);
  return stored.length === 1
    ? found
    : [...found, violation.invalid('spec.versions', versions.length, 'must have exactly one version marked as storage version')];
}

// A printer column that cannot be read would be found only when somebody lists.
function servingViolations(object: ApiObject): FieldViolation[] {
  try {
    customResourceType(object as unknown as CustomResourceDefinition);
    return [];
  } catch (error) {
    return [violation.invalid('spec.versions', '', (error as Error).message)];
  }
}

/** Brings the definitions of plugins into the store and serves every definition there is. */
export class Definitions {
  readonly #store: Store;
  readonly #types: TypeRegistry;
  readonly #provided: ReadonlyMap<string, CustomResource>;
  readonly #type: ResourceType;

  constructor(given: { store: Store; types: TypeRegistry; provided: readonly CustomResource[] }) {
    this.#store = given.store;
    this.#types = given.types;
    this.#provided = new Map(given.provided.map((one) => [one.name, one]));
    this.#type = definitionType(this.#provided);
  }

  /** @throws SIDERO_APISERVER_DEFINITION_INVALID */
  start(): void {
    this.#types.set(this.#type);
    for (const resource of this.#provided.values()) this.#provide(resource);
    for (const { json } of this.#store.list(DEFINITIONS)) this.#serve(parse(json));
  }

  /** Follows what users do to definitions. */
  changed(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.resource !== DEFINITIONS) continue;
      if (change.type === 'DELETED') this.#types.delete(change.name);
      // A definition that cannot be served was refused before it was stored; one that still slips through must not stop the rest.
      else if (servingViolations(parse(change.json)).length === 0) this.#serve(parse(change.json));
    }
  }

  #provide({ name, definition }: CustomResource): void {
    const { metadata, spec } = definition;
    const object: ApiObject = {
      apiVersion: definition.apiVersion,
      kind: definition.kind,
      metadata: { ...structuredClone(metadata) },
      spec: structuredClone(spec),
    };
    complete(object);
    const [problem] = definitionViolations(object, undefined);
    if (problem) throw failure('SIDERO_APISERVER_DEFINITION_INVALID', { name, problem: `${problem.field}: ${problem.message}` });
    const key = keyOf(this.#type, { namespace: '', name });
    const previous = this.#store.get(key);
    const old = previous && parse(previous.json);
    const identity = { uid: crypto.randomUUID(), creationTimestamp: timestamp(), finalizers: [CLEANUP_FINALIZER], ...old?.metadata };
    const labels = { ...old?.metadata.labels, ...metadata.labels };
    const annotations = { ...old?.metadata.annotations, ...metadata.annotations };
    object.metadata = readMetadata({ ...object.metadata, ...identity, labels, annotations }, definition.kind).metadata;
    if (old && sameJson(old['spec'], object['spec']) && sameJson(old.metadata, object.metadata)) return;
    object.metadata.generation = (old?.metadata.generation ?? 0) + 1;
    object['status'] = old ? nextStatus(object, old) : statusOf(object);
    this.#store.put(key, object, { previous });
  }

  #serve(object: ApiObject): void {
    const name = object.metadata.name ?? '';
    try {
      this.#types.set(customResourceType(object as unknown as CustomResourceDefinition, this.#provided.get(name)));
    } catch (cause) {
      throw failure('SIDERO_APISERVER_DEFINITION_INVALID', { name, problem: (cause as Error).message, cause });
    }
  }
}
