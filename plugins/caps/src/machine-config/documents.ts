import { failure } from '../errors.ts';
import { isNull, parseTrees, printTrees, type Table, textOf, type Tree } from './tree.ts';

/** One document of a Talos configuration. */
export interface ConfigDocument {
  /** apiVersion, kind and name; those of the machine document, which has neither, are empty. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly table: Table;
}

/** Kind of the document that holds `machine` and `cluster`: none. */
export const MACHINE_DOCUMENT = '';

/**
 * The documents of a configuration, or of a patch for one. Kinds and fields that nobody here knows pass.
 * @throws SIDERO_MACHINE_CONFIG_INVALID
 */
export function parseDocuments(text: string, what: string): readonly ConfigDocument[] {
  const documents = parseTrees(text, what).map((tree) => documentOf(tree, what));
  const seen = new Set<string>();
  for (const document of documents) {
    const identity = identityOf(document);
    if (seen.has(identity)) throw failure('SIDERO_MACHINE_CONFIG_INVALID', { what, problem: `duplicate document ${identity} is not allowed` });
    seen.add(identity);
  }
  return documents;
}

/** The machine document first, the others in their order. */
export function printDocuments(documents: readonly ConfigDocument[]): string {
  const machine = documents.filter(({ kind }) => kind === MACHINE_DOCUMENT);
  const others = documents.filter(({ kind }) => kind !== MACHINE_DOCUMENT);
  return printTrees([...machine, ...others].map(({ table }) => table));
}

/** What tells documents apart, as Talos prints it: `v1alpha1/SideroLinkConfig`, `v1alpha1/KmsgLogConfig/remote-log`. */
export function identityOf({ apiVersion, kind, name }: ConfigDocument): string {
  if (kind === MACHINE_DOCUMENT) return '/v1alpha1/';
  return [apiVersion, kind, name].filter((part) => part !== '').join('/');
}

function documentOf(tree: Tree, what: string): ConfigDocument {
  const invalid = (problem: string) => failure('SIDERO_MACHINE_CONFIG_INVALID', { what, problem });
  if (tree.kind !== 'table') throw invalid('a document is not a mapping');
  const [apiVersion, kind, name] = ['apiVersion', 'kind', 'name'].map((key) => textOf(tree.entries.get(key)) ?? '') as [string, string, string];
  if (kind === MACHINE_DOCUMENT && apiVersion !== '') throw invalid('missing kind');
  if (kind !== MACHINE_DOCUMENT && apiVersion === '') throw invalid(`missing apiVersion of a ${kind}`);
  return { apiVersion, kind, name: kind === MACHINE_DOCUMENT ? '' : name, table: tree };
}

/** Whether the document says nothing but which one it is. */
export function isBlank({ table }: ConfigDocument): boolean {
  return [...table.entries].every(([key, value]) => ['apiVersion', 'kind', 'name'].includes(key) || isNull(value));
}
