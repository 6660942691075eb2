import { failure } from '../errors.ts';
import { EMPTY, isTooLarge, jsonOf, type List, type Table, type Tree, treeOfJson, withEntry } from './tree.ts';

/** One operation of RFC 6902. */
export interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string | undefined;
  readonly value?: unknown;
}

/**
 * Applies RFC 6902 to a tree; all of it or nothing. `/list/-1` counts from the end, as the original's library did.
 * @throws SIDERO_MACHINE_CONFIG_PATCH_FAILED, naming `what` and the operation, never a value
 */
export function applyOperations(tree: Table, operations: readonly Operation[], what: string): Table {
  let result: Tree = tree;
  operations.forEach((operation, index) => {
    try {
      result = apply(result, operation);
    } catch (thrown) {
      if (!(thrown instanceof Obstacle)) throw thrown;
      const problem = `operation ${index} (${operation.op} ${operation.path}): ${thrown.message}`;
      throw failure('SIDERO_MACHINE_CONFIG_PATCH_FAILED', { what, problem });
    }
  });
  if (result.kind !== 'table') throw failure('SIDERO_MACHINE_CONFIG_PATCH_FAILED', { what, problem: 'it leaves no mapping' });
  return result;
}

/** Why an operation cannot be done; a clause. */
class Obstacle extends Error {}

function apply(tree: Tree, { op, path, from, value }: Operation): Tree {
  const keys = keysOf(path);
  switch (op) {
    case 'add':
      return set(tree, keys, { value: treeOfJson(value), isNew: true });
    case 'replace':
      find(tree, keys);
      return set(tree, keys, { value: treeOfJson(value), isNew: false });
    case 'remove':
      find(tree, keys);
      return set(tree, keys, { value: undefined, isNew: false });
    case 'move':
    case 'copy': {
      if (from === undefined) throw new Obstacle('it has no "from"');
      const moved = find(tree, keysOf(from));
      const rest = op === 'copy' ? tree : set(tree, keysOf(from), { value: undefined, isNew: false });
      const result = set(rest, keys, { value: moved, isNew: true });
      // Thirty copies of everything into itself are a thousand million values.
      if (op === 'copy' && isTooLarge(result)) throw new Obstacle('it makes the configuration too large');
      return result;
    }
    case 'test':
      if (!isSame(jsonOf(find(tree, keys)), value ?? null)) throw new Obstacle('what is there is something else');
      return tree;
    default:
      throw new Obstacle(`there is no operation "${op}"`);
  }
}

function keysOf(pointer: string): readonly string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw new Obstacle(`"${pointer}" does not begin with "/"`);
  return pointer
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function find(tree: Tree, keys: readonly string[]): Tree {
  let found = tree;
  for (const key of keys) {
    const next: Tree | undefined =
      found.kind === 'table' ? found.entries.get(key) : found.kind === 'list' ? found.items[indexOf(found, key)] : undefined;
    if (next === undefined) throw new Obstacle(`there is no "${key}"`);
    found = next;
  }
  return found;
}

interface Change {
  /** `undefined` removes. */
  readonly value: Tree | undefined;
  /** Into a list it is inserted, not put over what is there. */
  readonly isNew: boolean;
}

function set(tree: Tree, keys: readonly string[], change: Change): Tree {
  const [key, ...rest] = keys;
  if (key === undefined) return change.value ?? EMPTY;
  if (tree.kind === 'table') {
    const member = tree.entries.get(key);
    if (rest.length === 0) return withEntry(tree, key, change.value);
    if (member === undefined) throw new Obstacle(`there is no "${key}"`);
    return withEntry(tree, key, set(member, rest, change));
  }
  if (tree.kind === 'list') return setInList(tree, { key, rest }, change);
  throw new Obstacle(`"${key}" is looked for in what is neither a mapping nor a list`);
}

function setInList(list: List, { key, rest }: { key: string; rest: readonly string[] }, change: Change): List {
  const items = [...list.items];
  if (rest.length > 0) {
    const at = indexOf(list, key);
    items[at] = set(find(list, [key]), rest, change);
  } else if (change.isNew) {
    const at = key === '-' ? items.length : indexOf(list, key);
    if (at < 0 || at > items.length) throw new Obstacle(`the list has no place "${key}"`);
    items.splice(at, 0, change.value!);
  } else items.splice(indexOf(list, key), 1, ...(change.value ? [change.value] : []));
  return { kind: 'list', items };
}

function indexOf({ items }: List, key: string): number {
  if (!/^(-?[1-9]\d*|0)$/.test(key)) throw new Obstacle(`"${key}" is no place in a list`);
  const index = Number(key);
  return index < 0 ? items.length + index + 1 : index;
}

function isSame(left: unknown, right: unknown): boolean {
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return left === right;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const [mine, theirs] = [Object.entries(left), Object.entries(right)];
  return mine.length === theirs.length && mine.every(([key, value]) => key in right && isSame(value, (right as Record<string, unknown>)[key]));
}
