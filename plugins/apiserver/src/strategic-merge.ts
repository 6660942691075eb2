import { copyJson } from '@sidero/core';
import { isJsonObject, type JsonObject, sameJson } from './object.ts';
import type { Schema } from './schema/schema.ts';
import { badRequest } from './status.ts';

/**
 * A strategic merge patch: a merge patch whose lists are merged by key where the schema names one
 * (`x-kubernetes-patch-merge-key`, `x-kubernetes-patch-strategy: merge`), with the directives `$patch`,
 * `$deleteFromPrimitiveList/…`, `$setElementOrder/…` and `$retainKeys`. Only for built-in kinds.
 */
export function strategicMerge(target: JsonObject, patch: JsonObject, schema: Schema | undefined): JsonObject {
  const directive = patch['$patch'];
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') throw badRequest(`unrecognized patch directive: ${JSON.stringify(directive)}`);
  const result = retained(target, patch);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) applyDirective(result, key, value);
    else if (value === null) delete result[key];
    else result[key] = mergeMember(result[key], value, memberOf(schema, key));
  }
  orderLists(result, patch, schema);
  return result;
}

function memberOf(schema: Schema | undefined, key: string): Schema | undefined {
  if (schema?.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key];
  return isJsonObject(schema?.additionalProperties) ? (schema.additionalProperties as Schema) : undefined;
}

function retained(target: JsonObject, patch: JsonObject): JsonObject {
  const kept = patch['$retainKeys'];
  if (!Array.isArray(kept)) return { ...target };
  return Object.fromEntries(Object.entries(target).filter(([key]) => kept.includes(key)));
}

function applyDirective(result: JsonObject, key: string, value: unknown): void {
  const [name, member = ''] = key.split('/', 2);
  if (name !== '$deleteFromPrimitiveList') return;
  const list = result[member];
  if (!Array.isArray(value)) throw badRequest(`invalid patch: ${key} must be a list`);
  if (Array.isArray(list)) result[member] = list.filter((item) => !value.some((gone) => sameJson(gone, item)));
}

function mergeMember(current: unknown, value: unknown, schema: Schema | undefined): unknown {
  if (isJsonObject(value)) return strategicMerge(isJsonObject(current) ? current : {}, value, schema);
  if (!Array.isArray(value)) return value;
  if (!isMergeList(schema)) return copyJson(value);
  const list = Array.isArray(current) ? current : [];
  const key = schema?.['x-kubernetes-patch-merge-key'];
  return key === undefined
    ? [...list, ...value.filter((item) => !list.some((one) => sameJson(one, item)))]
    : mergeByKey(list, value, { key, items: schema?.items });
}

const isMergeList = (schema: Schema | undefined) => schema?.['x-kubernetes-patch-strategy'] === 'merge';

function mergeByKey(list: readonly unknown[], patch: readonly unknown[], { key, items }: { key: string; items: Schema | undefined }): unknown[] {
  if (!patch.every(isJsonObject)) throw badRequest('invalid patch: an item of a merged list is not an object');
  if (patch.some((item) => item['$patch'] === 'replace')) return patch.filter((item) => item['$patch'] !== 'replace').map(withoutDirectives);
  const result: unknown[] = [...list];
  for (const item of patch) {
    if (item[key] === undefined) throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    const index = result.findIndex((one) => isJsonObject(one) && sameJson(one[key], item[key]));
    if (item['$patch'] === 'delete') result.splice(index, index === -1 ? 0 : 1);
    else if (index === -1) result.push(strategicMerge({}, item, items));
    else result[index] = strategicMerge(result[index] as JsonObject, item, items);
  }
  return result;
}

// `$setElementOrder/x` holds the order the client saw; what it does not name stays behind.
function orderLists(result: JsonObject, patch: JsonObject, schema: Schema | undefined): void {
  for (const [directive, order] of Object.entries(patch)) {
    const [name, member = ''] = directive.split('/', 2);
    const list = result[member];
    if (name !== '$setElementOrder' || !Array.isArray(order) || !Array.isArray(list)) continue;
    const key = memberOf(schema, member)?.['x-kubernetes-patch-merge-key'];
    const identity = (item: unknown) => (key !== undefined && isJsonObject(item) ? item[key] : item);
    const rank = (item: unknown) => {
      const at = order.findIndex((one) => sameJson(identity(one), identity(item)));
      return at === -1 ? order.length : at;
    };
    result[member] = list.toSorted((a, b) => rank(a) - rank(b));
  }
}

function withoutDirectives(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith('$')));
}
