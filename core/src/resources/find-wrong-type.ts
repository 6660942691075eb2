/** The parts of an OpenAPI schema that say what type a value has. */
export interface TypeSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, TypeSchema>>;
  readonly items?: TypeSchema;
  readonly additionalProperties?: TypeSchema;
}

/**
 * Path and problem of the first value that has another type than its schema says; undefined when all is well.
 * Checks types only, so that code behind it can trust its types: bounds and required fields are the API server's business.
 * A field that is null counts as absent, and one that the schema does not know may be anything: it may come from a newer CRD.
 */
export function findWrongType(schema: TypeSchema, value: unknown, path: string): string | undefined {
  if (schema.type === undefined) return undefined;
  if (typeOf(value) !== (schema.type === 'integer' ? 'number' : schema.type))
    return `${path || 'the object'} is ${article(typeOf(value))}, not ${article(schema.type)}`;
  if (schema.type === 'array') return firstOf(value as unknown[], (item, index) => findWrongType(schema.items ?? {}, item, `${path}[${index}]`));
  if (schema.type !== 'object') return undefined;
  return firstOf(Object.entries(value as object), ([key, member]: [string, unknown]) => {
    const known = schema.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : schema.additionalProperties;
    return known && member !== null && member !== undefined ? findWrongType(known, member, path === '' ? key : `${path}.${key}`) : undefined;
  });
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
}

function article(type: string): string {
  return type === 'null' ? type : `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`;
}

function firstOf<T>(values: readonly T[], find: (value: T, index: number) => string | undefined): string | undefined {
  for (const [index, value] of values.entries()) {
    const found = find(value, index);
    if (found !== undefined) return found;
  }
  return undefined;
}
