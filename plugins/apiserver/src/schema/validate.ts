import { isJsonObject, type JsonObject, sameJson } from '../object.ts';
import { type FieldViolation, violation } from '../status.ts';
import { isFormat } from './formats.ts';
import { childPath, OBJECT_FIELDS, type Schema } from './schema.ts';

/** Takes whatever comes. */
const ANYTHING: Schema = {};

/**
 * Checks a value against a structural schema and says what is wrong in the words kube-apiserver uses.
 * The object's apiVersion, kind and metadata are left to the rules of metadata. A member that is as in `old` is not looked into: what is wrong
 * there was so before, and `newViolations` would leave it out.
 */
export function validate(object: JsonObject, schema: Schema, old?: JsonObject): FieldViolation[] {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = object;
  const isOld = (key: string) => old !== undefined && Object.hasOwn(old, key) && sameJson(object[key], old[key]);
  const members = Object.entries(schema.properties ?? {}).filter(([key]) => !OBJECT_FIELDS.has(key));
  const properties = Object.fromEntries(members.map(([key, member]) => [key, isOld(key) ? ANYTHING : member]));
  const required = schema.required?.filter((key) => !OBJECT_FIELDS.has(key)) ?? [];
  return validateValue(rest, { ...schema, properties, required }, '');
}

/** Checks one value that stands at `path`. */
export function validateValue(value: unknown, schema: Schema, path: string): FieldViolation[] {
  if (value === null && schema.nullable) return [];
  const wrongType = typeViolation(value, schema, path);
  if (wrongType) return [wrongType];
  return [...enumViolations(value, schema, path), ...constraintViolations(value, schema, path), ...combinationViolations(value, schema, path)];
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function typeViolation(value: unknown, schema: Schema, path: string): FieldViolation | undefined {
  const actual = typeOf(value);
  if (schema['x-kubernetes-int-or-string']) {
    if (actual === 'integer' || actual === 'string') return undefined;
    return violation.type(path, actual, `${inBody(path)} must be of type integer,string: ${JSON.stringify(actual)}`);
  }
  if (!schema.type || actual === schema.type || (schema.type === 'number' && actual === 'integer')) return undefined;
  return violation.type(path, actual, `${inBody(path)} must be of type ${schema.type}: ${JSON.stringify(actual)}`);
}

const inBody = (path: string) => `${path} in body`;

function enumViolations(value: unknown, schema: Schema, path: string): FieldViolation[] {
  if (!schema.enum || schema.enum.some((one) => sameJson(one, value))) return [];
  const supported = schema.enum.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
  return [violation.unsupported(path, value, supported)];
}

function constraintViolations(value: unknown, schema: Schema, path: string): FieldViolation[] {
  if (typeof value === 'string') return stringViolations(value, schema, path);
  if (typeof value === 'number') return numberViolations(value, schema, path);
  if (Array.isArray(value)) return listViolations(value, schema, path);
  return isJsonObject(value) ? objectViolations(value, schema, path) : [];
}

// Of length and pattern only the first that fails is told.
function stringViolations(value: string, schema: Schema, path: string): FieldViolation[] {
  const ofText = textViolation(value, schema, path);
  const found = ofText ? [ofText] : [];
  if (schema.format !== undefined && !isFormat(schema.format, value)) {
    found.push(violation.invalid(path, value, `${inBody(path)} must be of type ${schema.format}: ${JSON.stringify(value)}`));
  }
  return found;
}

function textViolation(value: string, schema: Schema, path: string): FieldViolation | undefined {
  const { maxLength, minLength, pattern } = schema;
  const lengthChars = maxLength === undefined && minLength === undefined ? 0 : Array.from(value).length;
  if (maxLength !== undefined && lengthChars > maxLength) return violation.tooLong(path, maxLength);
  if (minLength !== undefined && lengthChars < minLength)
    return violation.invalid(path, value, `${inBody(path)} should be at least ${minLength} chars long`);
  if (pattern === undefined || patternOf(pattern).test(value)) return undefined;
  return violation.invalid(path, value, `${inBody(path)} should match '${pattern}'`);
}

// Patterns are RE2; what differs from JavaScript's syntax in practice are the flags in front.
function patternOf(pattern: string): RegExp {
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  return flags ? new RegExp(pattern.slice(flags[0].length), `u${flags[1]}`) : new RegExp(pattern, 'u');
}

function numberViolations(value: number, schema: Schema, path: string): FieldViolation[] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  const found: FieldViolation[] = [];
  const add = (detail: string) => found.push(violation.invalid(path, value, `${inBody(path)} should be ${detail}`));
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) add(`a multiple of ${multipleOf}`);
  if (maximum !== undefined && exclusiveMaximum && value >= maximum) add(`less than ${maximum}`);
  if (maximum !== undefined && !exclusiveMaximum && value > maximum) add(`less than or equal to ${maximum}`);
  if (minimum !== undefined && exclusiveMinimum && value <= minimum) add(`greater than ${minimum}`);
  if (minimum !== undefined && !exclusiveMinimum && value < minimum) add(`greater than or equal to ${minimum}`);
  return found;
}

function listViolations(list: readonly unknown[], schema: Schema, path: string): FieldViolation[] {
  const found: FieldViolation[] = [];
  if (schema.maxItems !== undefined && list.length > schema.maxItems) found.push(violation.tooMany(path, list.length, schema.maxItems));
  if (schema.minItems !== undefined && list.length < schema.minItems) {
    found.push(violation.invalid(path, list.length, `${inBody(path)} should have at least ${schema.minItems} items`));
  }
  if (schema.uniqueItems && duplicates(list, JSON.stringify).length > 0)
    found.push(violation.invalid(path, '', `${inBody(path)} shouldn't contain duplicates`));
  if (schema.items) for (const [index, item] of list.entries()) found.push(...validateValue(item, schema.items, `${path}[${index}]`));
  return [...found, ...duplicateViolations(list, schema, path)];
}

function duplicateViolations(list: readonly unknown[], schema: Schema, path: string): FieldViolation[] {
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map') return [];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const keyOf = (item: unknown) => (type === 'set' || !isJsonObject(item) ? item : Object.fromEntries(keys.map((key) => [key, item[key]])));
  return duplicates(list, (item) => JSON.stringify(keyOf(item))).map(({ item, index }) => violation.duplicate(`${path}[${index}]`, keyOf(item)));
}

function duplicates(list: readonly unknown[], keyOf: (item: unknown) => string): { item: unknown; index: number }[] {
  const seen = new Set<string>();
  return list.flatMap((item, index) => {
    const key = keyOf(item);
    if (seen.has(key)) return [{ item, index }];
    seen.add(key);
    return [];
  });
}

function objectViolations(object: JsonObject, schema: Schema, path: string): FieldViolation[] {
  const found: FieldViolation[] = [];
  for (const [key, value] of Object.entries(object)) {
    const member = memberSchema(schema, key);
    if (member) found.push(...validateValue(value, member, childPath(path, key)));
  }
  for (const key of schema.required ?? []) if (!Object.hasOwn(object, key)) found.push(violation.required(childPath(path, key)));
  const size = Object.keys(object).length;
  if (schema.maxProperties !== undefined && size > schema.maxProperties) found.push(violation.tooMany(path, size, schema.maxProperties));
  if (schema.minProperties !== undefined && size < schema.minProperties) {
    found.push(violation.invalid(path, size, `${inBody(path)} should have at least ${schema.minProperties} properties`));
  }
  return found;
}

function memberSchema(schema: Schema, key: string): Schema | undefined {
  if (schema.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key];
  return isJsonObject(schema.additionalProperties) ? (schema.additionalProperties as Schema) : undefined;
}

function combinationViolations(value: unknown, schema: Schema, path: string): FieldViolation[] {
  const passes = (one: Schema) => validateValue(value, one, path).length === 0;
  const found = (schema.allOf ?? []).flatMap((one) => validateValue(value, one, path));
  if (schema.anyOf && !schema['x-kubernetes-int-or-string'] && !schema.anyOf.some(passes)) {
    found.push(violation.invalid(path, '', `${JSON.stringify(path)} must validate at least one schema (anyOf)`));
  }
  if (schema.oneOf && schema.oneOf.filter(passes).length !== 1) {
    found.push(
      violation.invalid(
        path,
        '',
        `${JSON.stringify(path)} must validate one and only one schema (oneOf). Found ${schema.oneOf.some(passes) ? 'more than one valid alternative' : 'none valid'}`,
      ),
    );
  }
  if (schema.not && passes(schema.not)) found.push(violation.invalid(path, '', `${JSON.stringify(path)} must not validate the schema (not)`));
  return found;
}

/**
 * Leaves out what was as wrong before: an update may keep a value that an older schema allowed (ratcheting).
 * A violation stays when its field has changed or did not exist.
 */
export function newViolations(violations: readonly FieldViolation[], object: JsonObject, old: JsonObject): FieldViolation[] {
  return violations.filter(({ type, field }) => {
    // What is absent shows only in the object around it.
    const path = stepsOf(type === 'Required' ? field.replace(/\.?[^.]*$/, '') : field);
    const before = valueAt(old, path);
    return before === undefined || !sameJson(valueAt(object, path), before);
  });
}

function stepsOf(path: string): string[] {
  return path === '' ? [] : path.replaceAll(/\[(\d+)\]/g, '.$1').split('.');
}

function valueAt(value: unknown, steps: readonly string[]): unknown {
  return steps.reduce<unknown>(
    (at, step) => (at !== null && typeof at === 'object' && Object.hasOwn(at, step) ? (at as JsonObject)[step] : undefined),
    value,
  );
}
