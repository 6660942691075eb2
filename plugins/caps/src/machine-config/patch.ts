import { failure } from '../errors.ts';
import { type ConfigDocument, parseDocuments } from './documents.ts';
import { applyOperations, type Operation } from './json-patch.ts';
import { isMachineDocument, mergeDocuments } from './strategic-merge.ts';
import { EMPTY, jsonOf, parseTrees, type Tree } from './tree.ts';

/** A change of a configuration; `what` names it for people: "strategicPatches[1] of ServerClass large". */
export type Patch =
  | { readonly what: string; readonly operations: readonly Operation[] }
  | { readonly what: string; readonly documents: readonly ConfigDocument[] };

/**
 * Reads a patch as Talos recognises one: a list of RFC 6902 operations, in JSON or YAML, or documents to merge.
 * @throws SIDERO_MACHINE_CONFIG_INVALID
 */
export function parsePatch(text: string, what: string): Patch {
  const [first, ...more] = parseTrees(text, what);
  if (first === undefined) return { what, operations: [] };
  if (first.kind !== 'list' || more.length > 0) return { what, documents: parseDocuments(text, what) };
  return { what, operations: first.items.map((item, index) => operationOf(item, { what, index })) };
}

function operationOf(tree: Tree, { what, index }: { what: string; index: number }): Operation {
  const given = jsonOf(tree) as { op?: unknown; path?: unknown; from?: unknown; value?: unknown } | null;
  if (typeof given?.op !== 'string' || typeof given.path !== 'string') {
    throw failure('SIDERO_MACHINE_CONFIG_INVALID', { what, problem: `entry ${index} is no operation of RFC 6902: it needs op and path` });
  }
  return { op: given.op, path: given.path, value: given.value, ...(typeof given.from === 'string' ? { from: given.from } : {}) };
}

/**
 * The configuration with the patch applied. Operations work on the machine document, whatever other documents there are.
 * @throws SIDERO_MACHINE_CONFIG_PATCH_FAILED
 */
export function applyPatch(config: readonly ConfigDocument[], patch: Patch): readonly ConfigDocument[] {
  if ('documents' in patch) return mergeDocuments(config, patch.documents, patch.what);
  if (patch.operations.length === 0) return config;
  const at = config.findIndex(isMachineDocument);
  const machine: ConfigDocument = config[at] ?? { apiVersion: '', kind: '', name: '', table: EMPTY };
  const patched = { ...machine, table: applyOperations(machine.table, patch.operations, patch.what) };
  return at < 0 ? [patched, ...config] : config.with(at, patched);
}
