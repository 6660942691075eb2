import { failure } from '../errors.ts';
import { type ConfigDocument, identityOf, MACHINE_DOCUMENT } from './documents.ts';
import { isNull, jsonOf, type List, type Scalar, type Table, textOf, textScalar, type Tree } from './tree.ts';

/** Takes away what it stands in, instead of merging: `{ $patch: delete }`. */
const DIRECTIVE = '$patch';

// Talos merges by the types of its fields. What follows from the shape of the values is done so here, for any field; these are the
// exceptions of Talos 1.13, by the kind of the document and the path of the list or mapping in it.
const REPLACED: ReadonlySet<string> = new Set([
  ':cluster.network.podSubnets',
  ':cluster.network.serviceSubnets',
  ':cluster.apiServer.auditPolicy',
  'NetworkRuleConfig:ingress',
  'NetworkRuleConfig:portSelector.ports',
]);
const KEYED: ReadonlyMap<string, readonly string[]> = new Map([
  [':machine.network.interfaces', ['interface', 'deviceSelector']],
  [':machine.network.interfaces.vlans', ['vlanId']],
  [':cluster.apiServer.admissionControl', ['name']],
  ['ExtensionServiceConfig:configFiles', ['mountPath']],
  ['ImageVerificationConfig:rules', ['image']],
]);
/** Elements that are replaced as a whole once their key was found. */
const WHOLE_ELEMENTS: ReadonlySet<string> = new Set(['ImageVerificationConfig:rules']);
const URLS: ReadonlySet<string> = new Set([':cluster.controlPlane.endpoint', 'SideroLinkConfig:apiUrl', 'KmsgLogConfig:url']);

/**
 * Merges the documents of a patch into those of a configuration, as Talos does: same apiVersion, kind and name are merged, others appended.
 * @throws SIDERO_MACHINE_CONFIG_PATCH_FAILED, naming `what`
 */
export function mergeDocuments(config: readonly ConfigDocument[], patch: readonly ConfigDocument[], what: string): readonly ConfigDocument[] {
  const result = [...config];
  for (const right of patch) {
    const at = result.findIndex((left) => identityOf(left) === identityOf(right));
    const isDeletion = deletes(right.table);
    if (isDeletion && at >= 0) result.splice(at, 1);
    if (isDeletion) continue;
    const left = result[at];
    if (left === undefined) result.push({ ...right, table: withoutDirectives(right.table) });
    else result[at] = { ...left, table: mergeTables(left.table, right.table, { kind: left.kind, path: [], what }) };
  }
  return result;
}

interface Place {
  readonly kind: string;
  readonly path: readonly string[];
  readonly what: string;
}

const nameOf = ({ kind, path }: Place) => `${kind}:${path.join('.')}`;
const inside = (place: Place, key: string): Place => ({ ...place, path: [...place.path, key] });
const deletes = (tree: Tree) => tree.kind === 'table' && textOf(tree.entries.get(DIRECTIVE)) === 'delete';

function mergeTables(left: Table, right: Table, place: Place): Table {
  // Copied once: a mapping may have as many entries as the patch.
  const entries = new Map(left.entries);
  for (const [key, value] of right.entries) {
    if (deletes(value)) entries.delete(key);
    else if (key !== DIRECTIVE) entries.set(key, mergeValues(left.entries.get(key), value, inside(place, key)));
  }
  return { kind: 'table', entries };
}

function mergeValues(left: Tree | undefined, right: Tree, place: Place): Tree {
  if (left === undefined || isNull(left)) return withoutDirectives(right);
  if (isNull(right)) return left;
  if (REPLACED.has(nameOf(place))) return withoutDirectives(right);
  if (left.kind === 'table' && right.kind === 'table') return mergeTables(left, right, place);
  if (left.kind === 'list' && right.kind === 'list') return mergeLists(left, right, place);
  if (left.kind === 'scalar' && right.kind === 'scalar') return mergeScalars(left, right, place);
  const [was, given] = [left, right].map(({ kind }) => (kind === 'table' ? 'mapping' : kind));
  const problem = `${place.path.join('.')} is a ${was} and would be merged with a ${given}`;
  throw failure('SIDERO_MACHINE_CONFIG_PATCH_FAILED', { what: place.what, problem });
}

function mergeScalars(left: Scalar, right: Scalar, place: Place): Scalar {
  if (URLS.has(nameOf(place))) return mergeUrls(left, right);
  // Go's zero values say nothing; false does.
  const value = jsonOf(right);
  return value === '' || value === 0 ? left : right;
}

/** The parts that the right one has win; a query that is there stays. */
function mergeUrls(left: Scalar, right: Scalar): Scalar {
  if (!URL.canParse(left.text) || !URL.canParse(right.text)) return right.text === '' ? left : right;
  const [scheme, rest] = splitUrl(right.text);
  const [, known] = splitUrl(left.text);
  const path = rest.path === '' || rest.path === '/' ? known.path : rest.path;
  const query = rest.query === '' ? known.query : rest.query;
  return textScalar(`${scheme}://${rest.host || known.host}${path}${query}`);
}

function splitUrl(text: string): [scheme: string, rest: { host: string; path: string; query: string }] {
  const [, scheme = '', host = '', path = '', query = ''] = /^([^:]+):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?/.exec(text) ?? [];
  return [scheme, { host, path, query }];
}

function mergeLists(left: List, right: List, place: Place): List {
  const keys = KEYED.get(nameOf(place)) ?? [];
  const items = [...left.items];
  for (const item of right.items) {
    if (deletes(item)) remove(items, item as Table);
    else mergeItem(items, item, { place, keys });
  }
  return { kind: 'list', items };
}

function mergeItem(items: Tree[], item: Tree, { place, keys }: { place: Place; keys: readonly string[] }): void {
  const at = keys.length === 0 ? -1 : items.findIndex((known) => isSameElement(known, item, keys));
  const known = items[at];
  const isMerged = known?.kind === 'table' && item.kind === 'table' && !WHOLE_ELEMENTS.has(nameOf(place));
  if (known === undefined) items.push(withoutDirectives(item));
  else items[at] = isMerged ? mergeTables(known, item, place) : withoutDirectives(item);
}

/** Elements are the same by the first key that the right one has: an interface by its name, without one by its selector. */
function isSameElement(left: Tree, right: Tree, keys: readonly string[]): boolean {
  if (left.kind !== 'table' || right.kind !== 'table') return false;
  const key = keys.find((name) => isGiven(right.entries.get(name)));
  return key !== undefined && isEqual(left.entries.get(key), right.entries.get(key));
}

const isGiven = (tree: Tree | undefined) => tree !== undefined && !isNull(tree) && !(tree.kind === 'scalar' && tree.text === '');

/** Removes the elements that hold what the directive's first other key says. */
function remove(items: Tree[], directive: Table): void {
  const [selector] = [...directive.entries].filter(([key]) => key !== DIRECTIVE);
  if (!selector) return;
  const [key, value] = selector;
  const kept = items.filter((item) => !(item.kind === 'table' && isEqual(item.entries.get(key), value)));
  items.splice(0, items.length, ...kept);
}

function isEqual(left: Tree | undefined, right: Tree | undefined): boolean {
  return left !== undefined && right !== undefined && JSON.stringify(jsonOf(left)) === JSON.stringify(jsonOf(right));
}

/** What is new has nothing to delete from. */
function withoutDirectives<T extends Tree>(tree: T): T {
  if (tree.kind === 'list') return { ...tree, items: tree.items.filter((item) => !deletes(item)).map(withoutDirectives) };
  if (tree.kind !== 'table') return tree;
  const kept = [...tree.entries].filter(([key, value]) => key !== DIRECTIVE && !deletes(value));
  return { ...tree, entries: new Map(kept.map(([key, value]) => [key, withoutDirectives(value)])) };
}

/** Whether a document is the one that holds `machine` and `cluster`. */
export function isMachineDocument({ kind }: ConfigDocument): boolean {
  return kind === MACHINE_DOCUMENT;
}
