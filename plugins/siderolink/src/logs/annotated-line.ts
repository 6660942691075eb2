import type { MachineNames } from '@sidero/core';
import { withoutTokens } from './without-tokens.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What only we may say of a record. */
const OWN_KEYS: ReadonlySet<string> = new Set(['server_uuid', 'namespace', 'cluster', 'metal_machine', 'machine'] satisfies (keyof MachineNames)[]);

/** How a record with certain keys becomes a line. */
interface Shape {
  /** Of the record, and of ours. */
  readonly keys: readonly string[];
  readonly own: readonly string[];
  readonly members: readonly Member[];
  /** Whether an object keeps these keys in the order in which they are given. */
  readonly isPlain: boolean;
}

interface Member {
  readonly key: string;
  /** What stands before the value. */
  readonly head: string;
  /** Whether the value is ours. */
  readonly isOwn: boolean;
}

/** Makes a line of a record; undefined when `text` is no JSON object. */
export type Annotate = (text: string, names: MachineNames) => string | undefined;

/**
 * Makes lines of kernel log records: compact, keys sorted bytewise, escaped as Go's encoder does, and with our names in place of whatever the
 * sender says about them. Integers of 64 bits stay as they came, tokens of machines go.
 */
export function createAnnotate(): Annotate {
  const shapes = new Shapes();
  return (text, names) => {
    const record = objectOf(text);
    if (record === undefined) return undefined;
    try {
      return withoutTokens(escaped(recordText(record, names, shapes)));
    } catch {
      // Nested deeper than can be followed, or a number that no encoder writes.
      return undefined;
    }
  };
}

function objectOf(text: string): Readonly<Record<string, Json>> | undefined {
  try {
    const value = JSON.parse(LONG_NUMBER.test(text) ? keptIntegers(text) : text) as Json;
    return typeof value === 'object' && value !== null && !isList(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function recordText(record: Readonly<Record<string, Json>>, names: MachineNames, shapes: Shapes): string {
  const { members, isPlain } = shapes.of(record, names);
  return (isPlain ? plainText(members, record, names) : undefined) ?? memberText(members, record, names);
}

// The encoder of the engine does nearly every record, put in order, at once.
function plainText(members: readonly Member[], record: Readonly<Record<string, Json>>, names: MachineNames): string | undefined {
  const ordered: Record<string, Json | undefined> = {};
  for (const { key, isOwn } of members) {
    const value = isOwn ? names[key as keyof MachineNames] : record[key];
    if (typeof value === 'string' ? value.startsWith(KEPT) : value === 0 || typeof value === 'object' || isBeyond(value)) return undefined;
    ordered[key] = value;
  }
  return JSON.stringify(ordered);
}

const isBeyond = (value: Json | undefined) => typeof value === 'number' && !Number.isFinite(value);

function memberText(members: readonly Member[], record: Readonly<Record<string, Json>>, names: MachineNames): string {
  let text = '';
  for (const { key, head, isOwn } of members) text += head + valueText((isOwn ? names[key as keyof MachineNames] : record[key])!);
  return text === '' ? '{}' : `${text}}`;
}

const MOST_SHAPES = 16;
const MOST_KEYS = 64;

/** Records of a machine look alike: their keys need not be sorted each time. */
class Shapes {
  #known: Shape[] = [];
  #last: Shape | undefined;

  of(record: Readonly<Record<string, Json>>, names: MachineNames): Shape {
    const keys = Object.keys(record);
    const own = Object.keys(names);
    if (this.#last && isOf(this.#last, keys, own)) return this.#last;
    this.#last = this.#known.find((shape) => isOf(shape, keys, own)) ?? this.#add(shapeOf(keys, own));
    return this.#last;
  }

  // Who makes up new keys again and again fills no memory.
  #add(shape: Shape): Shape {
    if (shape.keys.length > MOST_KEYS) return shape;
    this.#known = [shape, ...this.#known.slice(0, MOST_SHAPES - 1)];
    return shape;
  }
}

const isOf = (shape: Shape, keys: readonly string[], own: readonly string[]) => isSame(shape.keys, keys) && isSame(shape.own, own);

const isSame = (a: readonly string[], b: readonly string[]) => a.length === b.length && a.every((item, index) => item === b[index]);

function shapeOf(keys: readonly string[], own: readonly string[]): Shape {
  const all = inByteOrder([...keys.filter((key) => !OWN_KEYS.has(key)), ...own]);
  const members = all.map((key, index) => ({ key, head: `${index === 0 ? '{' : ','}${JSON.stringify(key)}:`, isOwn: OWN_KEYS.has(key) }));
  return { keys, own, members, isPlain: all.every((key) => key !== '__proto__' && !/^\d/.test(key)) };
}

function objectText(record: Readonly<Record<string, Json>>): string {
  const members = inByteOrder(Object.keys(record)).map((key) => `${JSON.stringify(key)}:${valueText(record[key]!)}`);
  return `{${members.join(',')}}`;
}

function valueText(value: Json): string {
  if (typeof value === 'string') return value.startsWith(KEPT) ? value.slice(KEPT.length) : JSON.stringify(value);
  if (typeof value === 'number') return numberText(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (isList(value)) return `[${value.map(valueText).join(',')}]`;
  return objectText(value);
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
const ESCAPES = Array.from('<>&\u2028\u2029', (character) => [character, `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`] as const);
const LONE_SURROGATE = /\\+ud[89a-f][0-9a-f]{2}/;
const LONE_SURROGATE_ALL = /(\\+)u(d[89a-f][0-9a-f]{2})/g;

// These can only stand inside texts, so the line as a whole can be looked at. JSON.stringify writes a surrogate without its pair as \udxxx.
function escaped(line: string): string {
  const html = HTML.test(line) ? htmlEscaped(line) : line;
  if (!LONE_SURROGATE.test(html)) return html;
  return html.replaceAll(LONE_SURROGATE_ALL, (found, slashes: string) => (slashes.length % 2 === 1 ? `${slashes.slice(1)}\ufffd` : found));
}

function htmlEscaped(line: string): string {
  let text = line;
  for (const [character, escape] of ESCAPES) if (text.includes(character)) text = text.replaceAll(character, escape);
  return text;
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
