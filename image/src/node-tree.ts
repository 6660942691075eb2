import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { failure } from './errors.ts';
import type { FileTree } from './file-tree.ts';
import type { PackageSource } from './project/package-tree.ts';
import { ForeignPackages } from './project/foreign-packages.ts';

/** Node, as npm has installed it for the project, else for this package; for another platform as the lock file has it. @throws SIDERO_IMAGE_NODE_MISSING */
export async function nodeTree(source: PackageSource): Promise<{ readonly tree: FileTree; readonly version: string }> {
  const name = `node-linux-${source.platform.cpu}`;
  const folder = installed(source.project, name) ?? (await new ForeignPackages(source).folderOf(name, `node_modules/${name}`));
  if (folder === undefined) throw failure('SIDERO_IMAGE_NODE_MISSING', { package: name });
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { readonly version: string };
  const tree: FileTree = new Map([
    ['usr/local/bin/node', { kind: 'file', mode: 0o755, content: join(folder, 'bin/node') }],
    ['usr/share/doc/node/copyright', { kind: 'file', mode: 0o644, content: join(folder, 'LICENSE') }],
  ]);
  return { tree, version };
}

function installed(project: string, name: string): string | undefined {
  for (const from of [join(project, 'package.json'), import.meta.url]) {
    try {
      return dirname(createRequire(from).resolve(`${name}/package.json`));
    } catch {
      // Elsewhere, or nowhere.
    }
  }
  return undefined;
}
