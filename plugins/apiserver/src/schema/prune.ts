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
  value.forEach((item, index) => pruneValue(item, at(place, place.schema?.items, `${place.path}[${index}]`)));
}

function at(place: Place, schema: Schema | undefined, path: string): Place {
  return { schema, path, isResource: schema?.['x-kubernetes-embedded-resource'] ?? false, unknown: place.unknown };
}

function pruneObject(object: JsonObject, place: Place): void {
  const { schema } = place;
  const additional = schema?.additionalProperties;
  const keeps = (schema?.['x-kubernetes-preserve-unknown-fields'] ?? false) || additional === true;
  for (const [key, value] of Object.entries(object)) {
    if (place.isResource && OBJECT_FIELDS.has(key)) continue;
    const path = childPath(place.path, key);
    const known = schema?.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    const member = known ?? (isJsonObject(additional) ? (additional as Schema) : undefined);
    if (member) pruneValue(value, at(place, member, path));
    else if (!keeps) {
      delete object[key];
      place.unknown.push(path);
    }
  }
}
