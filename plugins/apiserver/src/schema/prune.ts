import { isJsonObject, type JsonObject } from '../object.ts';
import { childPath, OBJECT_FIELDS, type Schema } from './schema.ts';

/**
 * Removes in place what the schema does not name, as structural pruning of Kubernetes does.
 * Returns the paths that were removed (`spec.bogus`, `spec.list[2].x`), in the order of the object.
 */
export function prune(object: JsonObject, schema: Schema): string[] {
  const unknown: string[] = [];
  pruneObject(object, { schema, path: '', isResource: true, unknown });
  return unknown;
}

/** The same for a member at `path` that is no object of its own. */
export function pruneMember(value: unknown, schema: Schema, path: string): string[] {
  const unknown: string[] = [];
  pruneValue(value, { schema, path, isResource: false, unknown });
  return unknown;
}

interface Place {
  readonly schema: Schema | undefined;
  readonly path: string;
  /** The root, or an embedded resource: apiVersion, kind and metadata stay. */
  readonly isResource: boolean;
  readonly unknown: string[];
}

function pruneValue(value: unknown, place: Place): void {
  if (isJsonObject(value)) return pruneObject(value, place);
  if (!Array.isArray(value)) return;
  // A list that is kept keeps its items too, save for members their schema names.
  const { schema } = place;
  const items = keepsUnknown(schema) ? { ...schema?.items, 'x-kubernetes-preserve-unknown-fields': true } : schema?.items;
  value.forEach((item, index) => pruneValue(item, at(place, items, `${place.path}[${index}]`)));
}

const keepsUnknown = (schema: Schema | undefined) => schema?.['x-kubernetes-preserve-unknown-fields'] ?? false;

function at(place: Place, schema: Schema | undefined, path: string): Place {
  return { schema, path, isResource: schema?.['x-kubernetes-embedded-resource'] ?? false, unknown: place.unknown };
}

function pruneObject(object: JsonObject, place: Place): void {
  const { schema } = place;
  for (const [key, value] of Object.entries(object)) {
    if (place.isResource && OBJECT_FIELDS.has(key)) continue;
    const path = childPath(place.path, key);
    if (schema?.properties && Object.hasOwn(schema.properties, key)) pruneValue(value, at(place, schema.properties[key], path));
    else if (schema?.additionalProperties)
      pruneValue(value, at(place, isJsonObject(schema.additionalProperties) ? (schema.additionalProperties as Schema) : undefined, path));
    else if (!keepsUnknown(schema)) {
      delete object[key];
      place.unknown.push(path);
    }
  }
}
