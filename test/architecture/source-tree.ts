import { globSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { parseAst } from 'rolldown/parseAst';

/** Root of the repository. */
export const ROOT = join(import.meta.dirname, '../..');

/** A node of the syntax tree (ESTree with TypeScript), as far as the rules look at it. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [property: string]: unknown;
}

/** One TypeScript file of ours. */
export interface SourceFile {
  /** From the root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** Every node, parents before children. */
  readonly nodes: readonly Node[];
  /** Every module it names: imports, exports from, `import()`, types included. */
  readonly imports: readonly { readonly specifier: string; readonly line: number }[];
  lineOf(node: Node): number;
  textOf(node: Node): string;
}

/** A package.json of ours. */
export interface Package {
  readonly folder: string;
  readonly name: string;
  readonly license?: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

const IGNORED = /(^|\/)(node_modules|dist|coverage)\/|\.d\.ts$/;

/** Files of ours that match, from the root, with slashes. */
export function paths(...patterns: readonly string[]): readonly string[] {
  return globSync([...patterns], { cwd: ROOT })
    .map((path) => path.split(sep).join('/'))
    .filter((path) => !IGNORED.test(path))
    .sort();
}

/** The parsed TypeScript files that match; generated ones left out. */
export function sources(...patterns: readonly string[]): readonly SourceFile[] {
  return paths(...patterns)
    .filter((path) => !/(\.gen|_pb)\.ts$/.test(path))
    .map((path) => parseSource(path, readFileSync(join(ROOT, path), 'utf8')));
}

/** Parses one file. */
export function parseSource(path: string, text: string): SourceFile {
  const nodes: Node[] = [];
  visit(parseAst(text, { lang: 'ts' }, path) as unknown as Node, nodes);
  const lineOf = (node: Node) => text.slice(0, node.start).split('\n').length;
  const imports = nodes.flatMap((node) => {
    const named = node['source'] as Node | null | undefined;
    return named?.type === 'Literal' && typeof named['value'] === 'string' ? [{ specifier: named['value'], line: lineOf(node) }] : [];
  });
  return { path, text, nodes, imports, lineOf, textOf: (node) => text.slice(node.start, node.end) };
}

function visit(value: unknown, found: Node[]): void {
  if (Array.isArray(value)) for (const item of value) visit(item, found);
  else if (typeof value === 'object' && value !== null) {
    if (typeof (value as Node).type === 'string') found.push(value as Node);
    for (const child of Object.values(value)) visit(child, found);
  }
}

/** The nodes below one node. */
export function below(node: Node): readonly Node[] {
  const found: Node[] = [];
  for (const child of Object.values(node)) visit(child, found);
  return found;
}

/** The workspaces, and the root itself as folder `.`. */
export function packages(): readonly Package[] {
  return paths('package.json', 'core/package.json', 'image/package.json', 'plugins/*/package.json', 'test/kit/package.json').map((path) => {
    const json = JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Package;
    const none = { dependencies: {}, peerDependencies: {}, devDependencies: {}, optionalDependencies: {} };
    return { ...none, ...json, folder: relative(ROOT, join(ROOT, path, '..')) || '.' };
  });
}

/** Package that a bare specifier names: `@scope/name/file` is of `@scope/name`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
