import { copyJson } from '@sidero/core';
import { isJsonObject } from '../object.ts';
import type { Schema } from './schema.ts';

/** True when some part of the schema holds a default; worth knowing because most hold none. */
export function hasDefaults(schema: Schema): boolean {
  if (schema.default !== undefined) return true;
  const parts = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return parts.some((part) => isJsonObject(part) && hasDefaults(part as Schema));
}

/** Fills absent members in place, and drops nulls where a default stands and null is not allowed, as Kubernetes does. */
export function applyDefaults(value: unknown, schema: Schema): void {
  if (Array.isArray(value)) {
    if (schema.items) for (const item of value) applyDefaults(item, schema.items);
    return;
  }
  if (!isJsonObject(value)) return;
  for (const [key, member] of Object.entries(schema.properties ?? {})) {
    const isUnwantedNull = value[key] === null && !member.nullable;
    if (member.default !== undefined && (value[key] === undefined || isUnwantedNull)) value[key] = copyJson(member.default);
    if (value[key] !== undefined) applyDefaults(value[key], member);
  }
  const { additionalProperties } = schema;
  if (!isJsonObject(additionalProperties)) return;
  for (const [key, item] of Object.entries(value)) {
    if (!schema.properties?.[key]) applyDefaults(item, additionalProperties as Schema);
  }
}
