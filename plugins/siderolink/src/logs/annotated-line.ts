import type { MachineNames } from '@sidero/core';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What only we may say of a record. */
const OWN_KEYS: ReadonlySet<string> = new Set(['server_uuid', 'namespace', 'cluster', 'metal_machine', 'machine'] satisfies (keyof MachineNames)[]);

/**
 * A kernel log record as one line: compact, keys sorted bytewise, escaped as Go's encoder does, and with our names in place of whatever the
 * sender says about them. Integers of 64 bits stay as they came. Undefined when `text` is no JSON object.
 */
export function annotatedLine(text: string, names: MachineNames): string | undefined {
  const record = objectOf(text);
  if (record === undefined) return undefined;
  const line = written(record, names);
  return line === undefined ? undefined : escaped(line);
}

function objectOf(text: string): Readonly<Record<string, Json>> | undefined {
  try {
    const value = JSON.parse(LONG_NUMBER.test(text) ? keptIntegers(text) : text) as Json;
    return typeof value === 'object' && value !== null && !isList(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function written(record: Readonly<Record<string, Json>>, names: MachineNames): string | undefined {
  try {
    return objectText(record, names);
  } catch {
    // Nested deeper than anything that can be followed.
    return undefined;
  }
}

function objectText(record: Readonly<Record<string, Json>>, names: MachineNames | undefined): string {
  const keys = Object.keys(record);
  const all = names ? withNames(keys, names) : keys;
  let text = '{';
  for (const key of inByteOrder(all)) {
    const value = names && OWN_KEYS.has(key) ? names[key as keyof MachineNames] : record[key];
    if (text.length > 1) text += ',';
    text += `${JSON.stringify(key)}:${valueText(value!)}`;
  }
  return `${text}}`;
}

function withNames(keys: readonly string[], names: MachineNames): string[] {
  const all = keys.filter((key) => !OWN_KEYS.has(key));
  for (const key in names) all.push(key);
  return all;
}

function valueText(value: Json): string {
  if (typeof value === 'string') return value.startsWith(KEPT) ? value.slice(KEPT.length) : JSON.stringify(value);
  if (typeof value === 'number') return numberText(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (isList(value)) return `[${value.map(valueText).join(',')}]`;
  return objectText(value, undefined);
}

// Go's decoder takes no number that a float64 cannot hold, and its encoder tells -0 from 0.
function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError('a number beyond any float64');
  return Object.is(value, -0) ? '-0' : String(value);
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

// UTF-16 sorts as UTF-8 does, but for characters beyond the first plane.
function inByteOrder(keys: string[]): string[] {
  if (!keys.some((key) => SURROGATE.test(key))) return keys.toSorted();
  return keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

const SURROGATE = /[\ud800-\udfff]/;
const HTML = /[<>&\u2028\u2029]/;
const HTML_ALL = /[<>&\u2028\u2029]/g;
const LONE_SURROGATE = /\\+ud[89a-f][0-9a-f]{2}/;
const LONE_SURROGATE_ALL = /(\\+)u(d[89a-f][0-9a-f]{2})/g;

// These can only stand inside texts, so the line as a whole can be looked at. JSON.stringify writes a surrogate without its pair as \udxxx.
function escaped(line: string): string {
  const html = HTML.test(line) ? line.replaceAll(HTML_ALL, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`) : line;
  if (!LONE_SURROGATE.test(html)) return html;
  return html.replaceAll(LONE_SURROGATE_ALL, (found, slashes: string) => (slashes.length % 2 === 1 ? `${slashes.slice(1)}\ufffd` : found));
}

const LONG_NUMBER = /\d{16}/;
/** Marks a text that stands for an integer which a number cannot hold. No sender can guess it. */
const KEPT = `\0${crypto.randomUUID()}:`;
const TEXT_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function keptIntegers(text: string): string {
  return text.replaceAll(TEXT_OR_NUMBER, (found) => (isLongInteger(found) ? JSON.stringify(KEPT + found) : found));
}

function isLongInteger(text: string): boolean {
  if (!/^-?[1-9]\d{15,19}$/.test(text)) return false;
  const value = BigInt(text);
  return value >= -(2n ** 63n) && value < 2n ** 64n;
}
