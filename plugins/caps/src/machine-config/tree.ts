import {
  COLLECTION_STYLE,
  type Document,
  eventsToAst,
  FAILSAFE_SCHEMA,
  type Node,
  parseEvents,
  present,
  SCALAR_STYLE,
  type ScalarNode,
  YAMLException,
} from 'js-yaml';
import { failure } from '../errors.ts';

/**
 * YAML as a tree in which a scalar keeps its source text: `1.10`, `0644` and a key `on` come out as they went in, whatever a YAML version
 * takes them for. Trees are never changed in place.
 */
export type Tree = Scalar | List | Table;

/** Any scalar. A plain one may be a number, a boolean or null; a quoted or block one is a text. */
export interface Scalar {
  readonly kind: 'scalar';
  readonly text: string;
  readonly style: ScalarNode['style'];
}

export interface List {
  readonly kind: 'list';
  readonly items: readonly Tree[];
}

/** A mapping in its own order. */
export interface Table {
  readonly kind: 'table';
  readonly entries: ReadonlyMap<string, Tree>;
}

// A configuration of Talos has some hundreds of values. While a text is read nobody else is answered, so these limits are on time, too.
/** Values of all documents together; aliases count each time they are used. Stops YAML bombs. */
const MAX_VALUES = 50_000;
const MAX_DEPTH = 200;
/** As Talos' own limit on what it downloads. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Lines and commas: what a parser takes its time for. Counted before it begins. */
const MAX_PIECES = 150_000;
/** Of one text: as much as a Secret holds in all. The printer cannot write twice as much. */
const MAX_TEXT_CHARACTERS = 1024 * 1024;
// Failsafe knows texts only: nothing is taken for a number, so nothing is written in another form.
const schema = FAILSAFE_SCHEMA;
const [STR, SEQ, MAP] = ['str', 'seq', 'map'].map((name) => `tag:yaml.org,2002:${name}`) as [string, string, string];

/**
 * The documents of a text, empty ones left out. `what` names the text in errors.
 * @throws SIDERO_MACHINE_CONFIG_INVALID
 */
export function parseTrees(text: string, what: string): readonly Tree[] {
  const invalid = (problem: string) => failure('SIDERO_MACHINE_CONFIG_INVALID', { what, problem });
  if (Buffer.byteLength(text) > MAX_BYTES) throw invalid(`it has more than ${MAX_BYTES} bytes`);
  if (hasMorePieces(text)) throw invalid(`it has more than ${MAX_PIECES} lines and commas`);
  const documents = read(text, invalid);
  const budget = { values: MAX_VALUES, invalid };
  return documents.flatMap(({ contents }) => {
    const tree = contents ? treeOf(contents, { anchors: new Map(), budget, depth: 0 }) : undefined;
    return tree === undefined || isNull(tree) ? [] : [tree];
  });
}

function hasMorePieces(text: string): boolean {
  let pieces = 0;
  for (const separator of ['\n', ',']) {
    for (let at = text.indexOf(separator); at >= 0 && pieces <= MAX_PIECES; at = text.indexOf(separator, at + 1)) pieces++;
  }
  return pieces > MAX_PIECES;
}

/**
 * The trees as one text, separated by `---`. The same trees give the same bytes.
 * @throws SIDERO_MACHINE_CONFIG_INVALID when one text in it is too long to be written
 */
export function printTrees(trees: readonly Tree[]): string {
  return present(
    trees.map((tree, index) => ({ contents: nodeOf(tree), directives: [], explicitStart: index > 0 })),
    { schema, lineWidth: -1, indent: 4, quoteStyle: 'double' },
  );
}

/** Whether it is YAML's null, in any of its forms. */
export function isNull(tree: Tree): boolean {
  return tree.kind === 'scalar' && tree.style === SCALAR_STYLE.PLAIN && /^(~|null|Null|NULL|)$/.test(tree.text);
}

/** The text of a scalar that is not null; undefined for everything else. */
export function textOf(tree: Tree | undefined): string | undefined {
  return tree?.kind === 'scalar' && !isNull(tree) ? tree.text : undefined;
}

/** A table, or one without entries in place of what is absent or null; undefined for anything else. */
export function tableOf(tree: Tree | undefined): Table | undefined {
  if (tree === undefined || isNull(tree)) return EMPTY;
  return tree.kind === 'table' ? tree : undefined;
}

export const EMPTY: Table = { kind: 'table', entries: new Map() };

/** The table with that entry set, or taken out by `undefined`; a new entry comes last. */
export function withEntry(table: Table, key: string, value: Tree | undefined): Table {
  const entries = new Map(table.entries);
  if (value === undefined) entries.delete(key);
  else entries.set(key, value);
  return { kind: 'table', entries };
}

/** Whether a tree has grown beyond what may be read: copies of its own parts count each, although they cost nothing before it is written. */
export function isTooLarge(tree: Tree): boolean {
  const left = { values: MAX_VALUES, characters: MAX_BYTES };
  const isBeyond = (part: Tree, depth: number): boolean => {
    left.values--;
    if (part.kind === 'scalar') left.characters -= part.text.length;
    if (left.values < 0 || left.characters < 0 || depth > MAX_DEPTH) return true;
    const parts = part.kind === 'table' ? [...part.entries.values()] : part.kind === 'list' ? part.items : [];
    return parts.some((inner) => isBeyond(inner, depth + 1));
  };
  return isBeyond(tree, 0);
}

/** A text that every YAML reader takes for a text. */
export function textScalar(text: string): Scalar {
  const isAmbiguous = text === '' || /^[-+.\d~]|^(null|true|false|yes|no|on|off|y|n)$/i.test(text);
  return { kind: 'scalar', text, style: isAmbiguous ? SCALAR_STYLE.DOUBLE_QUOTED : SCALAR_STYLE.PLAIN };
}

/** The tree of a JSON value. */
export function treeOfJson(value: unknown): Tree {
  if (typeof value === 'string') return textScalar(value);
  if (Array.isArray(value)) return { kind: 'list', items: value.map(treeOfJson) };
  if (typeof value === 'object' && value !== null) {
    return { kind: 'table', entries: new Map(Object.entries(value).map(([key, member]) => [key, treeOfJson(member)])) };
  }
  return { kind: 'scalar', text: JSON.stringify(value ?? null), style: SCALAR_STYLE.PLAIN };
}

/** The JSON value of a tree, by YAML 1.2's core schema. */
export function jsonOf(tree: Tree): unknown {
  if (tree.kind === 'list') return tree.items.map(jsonOf);
  if (tree.kind === 'table') return Object.fromEntries([...tree.entries].map(([key, member]) => [key, jsonOf(member)]));
  if (tree.style !== SCALAR_STYLE.PLAIN) return tree.text;
  if (isNull(tree)) return null;
  if (/^(true|True|TRUE)$/.test(tree.text)) return true;
  if (/^(false|False|FALSE)$/.test(tree.text)) return false;
  if (/^0o[0-7]+$|^0x[\da-fA-F]+$/.test(tree.text)) return Number(tree.text);
  return /^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/.test(tree.text) ? Number(tree.text) : tree.text;
}

function read(text: string, invalid: (problem: string) => Error): readonly Document[] {
  try {
    return eventsToAst(parseEvents(text, {}), { source: text, schema });
  } catch (thrown) {
    // Its own message quotes the text, which may hold secrets.
    if (!(thrown instanceof YAMLException)) throw thrown;
    const line = thrown.mark ? ` at line ${thrown.mark.line + 1}` : '';
    throw invalid(`it is not YAML${line}: ${thrown.reason}`);
  }
}

interface Reading {
  /** What an alias stands for: the last node before it with that anchor. */
  readonly anchors: Map<string, Node>;
  readonly budget: { values: number; readonly invalid: (problem: string) => Error };
  readonly depth: number;
}

function treeOf(node: Node, reading: Reading): Tree {
  const { anchors, budget, depth } = reading;
  if (--budget.values < 0) throw budget.invalid(`it has more than ${MAX_VALUES} values, aliases followed`);
  if (depth > MAX_DEPTH) throw budget.invalid(`it is nested more than ${MAX_DEPTH} deep`);
  const inner = { ...reading, depth: depth + 1 };
  if (node.kind === 'alias') {
    const target = anchors.get(node.anchor);
    if (!target) throw budget.invalid('an alias stands for nothing before it');
    return treeOf(target, inner);
  }
  if (node.anchor !== undefined) anchors.set(node.anchor, node);
  if (node.kind === 'scalar') return { kind: 'scalar', text: node.value, style: node.style };
  if (node.kind === 'sequence') return { kind: 'list', items: node.items.map((item) => treeOf(item, inner)) };
  const entries = new Map<string, Tree>();
  for (const { key, value } of node.items) {
    const name = treeOf(key, inner);
    if (name.kind !== 'scalar') throw budget.invalid('a key is not a text');
    if (entries.has(name.text)) throw budget.invalid(`the key "${name.text}" is there twice`);
    entries.set(name.text, treeOf(value, inner));
  }
  return { kind: 'table', entries };
}

function nodeOf(tree: Tree): Node {
  if (tree.kind === 'scalar' && tree.text.length > MAX_TEXT_CHARACTERS) {
    const problem = `a text in it has more than ${MAX_TEXT_CHARACTERS} characters`;
    throw failure('SIDERO_MACHINE_CONFIG_INVALID', { what: 'the configuration', problem });
  }
  if (tree.kind === 'scalar') return { kind: 'scalar', tag: STR, tagged: false, style: tree.style, value: tree.text };
  // What is empty can only be written in flow style.
  if (tree.kind === 'list') {
    const style = tree.items.length === 0 ? COLLECTION_STYLE.FLOW : COLLECTION_STYLE.BLOCK;
    return { kind: 'sequence', tag: SEQ, tagged: false, style, items: tree.items.map(nodeOf) };
  }
  const items = [...tree.entries].map(([key, value]) => ({ key: nodeOf({ kind: 'scalar', text: key, style: keyStyle(key) }), value: nodeOf(value) }));
  const style = items.length === 0 ? COLLECTION_STYLE.FLOW : COLLECTION_STYLE.BLOCK;
  return { kind: 'mapping', tag: MAP, tagged: false, style, items };
}

// Keys are texts to every reader of ours; the style is the presenter's choice.
function keyStyle(key: string): Scalar['style'] {
  return key === '' ? SCALAR_STYLE.DOUBLE_QUOTED : SCALAR_STYLE.PLAIN;
}
