import { copyJson } from '@sidero/core';
import { isJsonObject, type JsonObject, type ManagedFields, sameJson, timestamp } from './object.ts';
import type { Schema } from './schema/schema.ts';
import { ApiError, badRequest } from './status.ts';

/** Who applies, and how. */
export interface Applier {
  readonly manager: string;
  readonly apiVersion: string;
  readonly subresource: string | undefined;
  /** Takes fields other appliers hold with another value. */
  readonly force: boolean;
}

/** Fields as `fieldsV1` notes them: `f:` a member, `k:` an item by its keys, `v:` an item by value, `.` the thing itself. */
type FieldSet = JsonObject;

// Identity and what only the server sets is nobody's field.
const UNOWNED = new Set(['apiVersion', 'kind']);
const UNOWNED_METADATA = new Set(['name', 'namespace', 'uid', 'resourceVersion', 'generation', 'creationTimestamp', 'managedFields', 'selfLink']);

/**
 * Server-side apply: `live` (absent when it is to be made) with the applied configuration laid over it. What the same
 * manager applied before and no longer names goes, unless another applier holds it. Ownership is kept among appliers only:
 * other writes change values, not owners; the last writer wins.
 * @throws a Status 409 naming the other appliers whose values differ, unless `force`.
 */
export function apply(
  live: JsonObject | undefined,
  applied: JsonObject,
  { schema, applier }: { schema: Schema | undefined; applier: Applier },
): JsonObject {
  const metadata = isJsonObject(live?.['metadata']) ? live['metadata'] : {};
  const entries = (metadata['managedFields'] ?? []) as ManagedFields[];
  const isOurs = (entry: ManagedFields) =>
    entry.manager === applier.manager && entry.operation === 'Apply' && (entry.subresource ?? '') === (applier.subresource ?? '');
  const mine = fieldsOf(applied, schema);
  const others = entries.filter((entry) => !isOurs(entry));
  if (live) refuseConflicts(others, { mine, applied, live, schema, applier });
  const kept = others.map((entry) => ({
    ...entry,
    fieldsV1: applier.force ? minus(entry.fieldsV1 ?? {}, conflicting(entry, { mine, applied, live: live ?? {}, schema })) : entry.fieldsV1,
  }));
  const previous = entries.find(isOurs)?.fieldsV1;
  const gone = previous ? kept.reduce((left, entry) => minus(left, entry.fieldsV1 ?? {}), minus(previous, mine)) : {};
  const result = merge(removed(copyJson(live ?? {}), gone, schema), applied, schema) as JsonObject;
  const entry: ManagedFields = {
    manager: applier.manager,
    operation: 'Apply',
    apiVersion: applier.apiVersion,
    time: timestamp(),
    fieldsType: 'FieldsV1',
    fieldsV1: mine,
    ...(applier.subresource ? { subresource: applier.subresource } : {}),
  };
  const known = entries.find(isOurs);
  // An apply that changes nothing must not change the time either.
  const own = known && sameJson(known.fieldsV1, mine) && known.apiVersion === applier.apiVersion ? known : entry;
  const managedFields = [own, ...kept.filter((one) => Object.keys(one.fieldsV1 ?? {}).length > 0)];
  return { ...result, metadata: { ...(result['metadata'] as JsonObject | undefined), managedFields } };
}

function memberOf(schema: Schema | undefined, key: string): Schema | undefined {
  if (schema?.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key];
  return isJsonObject(schema?.additionalProperties) ? (schema.additionalProperties as Schema) : undefined;
}

type ListKind = 'map' | 'set' | 'atomic';

function listKind(schema: Schema | undefined): ListKind {
  return schema?.['x-kubernetes-list-type'] ?? 'atomic';
}

const keysOf = (schema: Schema | undefined) => schema?.['x-kubernetes-list-map-keys'] ?? [];

function itemName(item: unknown, schema: Schema | undefined): string {
  if (listKind(schema) === 'set' || !isJsonObject(item)) return `v:${JSON.stringify(item)}`;
  const keys = keysOf(schema).toSorted();
  return `k:${JSON.stringify(Object.fromEntries(keys.map((key) => [key, item[key] ?? schema?.items?.properties?.[key]?.default])))}`;
}

/** Every field an applied configuration names. */
function fieldsOf(applied: JsonObject, schema: Schema | undefined): FieldSet {
  const { metadata, ...rest } = applied;
  const named = Object.fromEntries(Object.entries(rest).filter(([key]) => !UNOWNED.has(key)));
  const own = isJsonObject(metadata) ? Object.fromEntries(Object.entries(metadata).filter(([key]) => !UNOWNED_METADATA.has(key))) : {};
  const fields = memberFields(named, schema);
  return Object.keys(own).length > 0 ? { 'f:metadata': memberFields(own, memberOf(schema, 'metadata')), ...fields } : fields;
}

function memberFields(object: JsonObject, schema: Schema | undefined): FieldSet {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [`f:${key}`, valueFields(value, memberOf(schema, key))]));
}

function valueFields(value: unknown, schema: Schema | undefined): FieldSet {
  if (isJsonObject(value)) {
    if (schema?.['x-kubernetes-map-type'] === 'atomic') return {};
    return memberFields(value, schema);
  }
  if (!Array.isArray(value) || listKind(schema) === 'atomic') return {};
  const isMap = listKind(schema) === 'map';
  return Object.fromEntries(value.map((item) => [itemName(item, schema), isMap ? { '.': {}, ...valueFields(item, schema?.items) } : {}]));
}

const isLeaf = (fields: unknown) => !isJsonObject(fields) || Object.keys(fields).length === 0;

/** Fields of `set` that are not in `other`. */
function minus(set: FieldSet, other: FieldSet): FieldSet {
  const left = Object.entries(set).flatMap(([name, inner]): [string, unknown][] => {
    if (!Object.hasOwn(other, name)) return [[name, inner]];
    if (isLeaf(inner) || isLeaf(other[name])) return [];
    const rest = minus(inner as FieldSet, other[name] as FieldSet);
    return isLeaf(rest) ? [] : [[name, rest]];
  });
  return Object.fromEntries(left);
}

interface Comparison {
  readonly mine: FieldSet;
  readonly applied: unknown;
  readonly live: unknown;
  readonly schema: Schema | undefined;
}

/** Fields that another manager holds too and whose applied value differs from the live one. */
function conflicting(entry: ManagedFields, comparison: Comparison): FieldSet {
  return conflicts(entry.fieldsV1 ?? {}, comparison);
}

function conflicts(theirs: FieldSet, { mine, applied, live, schema }: Comparison): FieldSet {
  const found = Object.entries(theirs).flatMap(([name, inner]): [string, unknown][] => {
    const ours = mine[name];
    if (ours === undefined || name === '.') return [];
    const step = stepInto(name, { applied, live, schema });
    if (isLeaf(ours) || isLeaf(inner)) return step.live === undefined || sameJson(step.applied, step.live) ? [] : [[name, {}]];
    const below = conflicts(inner as FieldSet, { mine: ours as FieldSet, ...step });
    return isLeaf(below) ? [] : [[name, below]];
  });
  return Object.fromEntries(found);
}

function stepInto(name: string, { applied, live, schema }: Omit<Comparison, 'mine'>): Omit<Comparison, 'mine'> {
  if (name.startsWith('f:')) {
    const key = name.slice(2);
    const member = (value: unknown) => (isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined);
    return { applied: member(applied), live: member(live), schema: memberOf(schema, key) };
  }
  const item = (value: unknown) => (Array.isArray(value) ? value.find((one) => itemName(one, schema) === name) : undefined);
  return { applied: item(applied), live: item(live), schema: schema?.items };
}

function refuseConflicts(others: readonly ManagedFields[], { applier, ...comparison }: Comparison & { applier: Applier }): void {
  if (applier.force) return;
  const causes = others.flatMap((entry) =>
    pathsOf(conflicting(entry, comparison), '').map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${JSON.stringify(entry.manager ?? '')}${entry.apiVersion === applier.apiVersion ? '' : ` using ${entry.apiVersion}`}`,
      field,
    })),
  );
  if (causes.length === 0) return;
  const lines =
    causes.length === 1 ? ` ${causes[0]!.message}: ${causes[0]!.field}` : `s ${causes.map((one) => `\n- ${one.message}: ${one.field}`).join('')}`;
  const message =
    causes.length === 1 ? `Apply failed with 1 conflict:${lines}` : `Apply failed with ${causes.length} conflict${lines.replace('s ', 's:')}`;
  throw new ApiError({ code: 409, reason: 'Conflict', message, details: { causes } });
}

function pathsOf(fields: FieldSet, path: string): string[] {
  return Object.entries(fields).flatMap(([name, inner]) => {
    const here = name.startsWith('f:') ? `${path}.${name.slice(2)}` : `${path}[${name.slice(2)}]`;
    return isLeaf(inner) ? [here] : pathsOf(inner as FieldSet, here);
  });
}

/** Lays `applied` over `live`: objects and keyed lists are merged, everything else replaced. */
function merge(live: unknown, applied: unknown, schema: Schema | undefined): unknown {
  if (isJsonObject(applied) && isJsonObject(live) && schema?.['x-kubernetes-map-type'] !== 'atomic') {
    const result = { ...live };
    for (const [key, value] of Object.entries(applied)) result[key] = merge(result[key], value, memberOf(schema, key));
    return result;
  }
  if (!Array.isArray(applied) || !Array.isArray(live) || listKind(schema) === 'atomic') return copyJson(applied);
  const result = [...live];
  for (const item of applied) {
    const name = itemName(item, schema);
    const index = result.findIndex((one) => itemName(one, schema) === name);
    if (index === -1) result.push(copyJson(item));
    else result[index] = merge(result[index], item, schema?.items);
  }
  return result;
}

/** Takes fields out, in place; what is left empty by it goes too. */
function removed(object: JsonObject, gone: FieldSet, schema: Schema | undefined): JsonObject {
  for (const [name, inner] of Object.entries(gone)) {
    if (!name.startsWith('f:')) continue;
    const key = name.slice(2);
    const value = object[key];
    if (isLeaf(inner)) delete object[key];
    else if (isJsonObject(value)) {
      removed(value, inner as FieldSet, memberOf(schema, key));
      if (Object.keys(value).length === 0) delete object[key];
    } else if (Array.isArray(value)) object[key] = withoutItems(value, inner as FieldSet, memberOf(schema, key));
  }
  return object;
}

function withoutItems(list: readonly unknown[], gone: FieldSet, schema: Schema | undefined): unknown[] {
  return list.flatMap((item) => {
    const inner = gone[itemName(item, schema)];
    if (inner === undefined) return [item];
    const isWhole = isLeaf(inner) || (isJsonObject(inner) && Object.hasOwn(inner, '.'));
    return isWhole || !isJsonObject(item) ? [] : [removed(item, inner as FieldSet, schema?.items)];
  });
}

/** Reads what was sent to apply. @throws a Status 400. */
export function readApplied(sent: unknown, manager: string | null): JsonObject {
  if (!manager) throw badRequest('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch');
  if (!isJsonObject(sent)) throw badRequest('error decoding YAML: an applied configuration is an object');
  const metadata = isJsonObject(sent['metadata']) ? sent['metadata'] : {};
  if (Array.isArray(metadata['managedFields']) && metadata['managedFields'].length > 0) throw badRequest('metadata.managedFields must be nil');
  return sent;
}
