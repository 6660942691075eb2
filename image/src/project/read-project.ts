import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { failure } from '../errors.ts';
import { type Entry, type FileTree, textFile } from '../file-tree.ts';

/** A configuration, and what it takes to load it. */
export interface Project {
  /** Where node_modules is. */
  readonly folder: string;
  /** The configuration, with the files beside it that it imports, as they lie below its folder. */
  readonly tree: FileTree;
  /** Names of the packages it loads, directly or through others. */
  readonly packages: readonly string[];
}

/** Looks at a configuration. @throws SIDERO_IMAGE_CONFIG_UNREADABLE, SIDERO_IMAGE_FILE_OUTSIDE, SIDERO_IMAGE_PACKAGE_MISSING */
export async function readProject(config: string): Promise<Project> {
  const folder = projectOf(config);
  const own: string[] = [];
  const packages = new Set<string>();
  const manifests = new Manifests();
  for (const file of await trace(config)) {
    const manifest = await manifests.of(file);
    if (file === config || manifest.folder === folder) own.push(file);
    else if (manifest.name !== undefined && (await isInstalled(folder, manifest.name, manifest.folder))) packages.add(manifest.name);
  }
  return { folder, tree: await treeOf(config, own), packages: [...packages].sort() };
}

/** The nearest folder at or above a configuration in which npm has installed core. */
function projectOf(config: string): string {
  for (let folder = dirname(config); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'node_modules/@sidero/core/package.json'))) return folder;
    if (folder === dirname(folder)) throw failure('SIDERO_IMAGE_PACKAGE_MISSING', { name: '@sidero/core', by: config });
  }
}

/** Every file that is loaded with a configuration. */
async function trace(config: string): Promise<readonly string[]> {
  const program = fileURLToPath(new URL(`trace-config${extname(import.meta.url)}`, import.meta.url));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, program, config], { cwd: dirname(config) });
    return JSON.parse(stdout) as string[];
  } catch (cause) {
    const problem = (cause as { readonly stderr?: string }).stderr?.trim() || String(cause);
    throw failure('SIDERO_IMAGE_CONFIG_UNREADABLE', { file: config, problem, cause });
  }
}

interface Manifest {
  readonly folder: string;
  readonly name: string | undefined;
}

/** Which package.json rules a file. */
class Manifests {
  readonly #known = new Map<string, Promise<Manifest>>();

  of(file: string): Promise<Manifest> {
    const folder = dirname(file);
    const known = this.#known.get(folder) ?? this.#find(folder);
    this.#known.set(folder, known);
    return known;
  }

  async #find(folder: string): Promise<Manifest> {
    const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined);
    // One without a name only says how the files beside it are read.
    const { name } = text === undefined ? {} : (JSON.parse(text) as { readonly name?: string });
    const isLast = dirname(folder) === folder || basename(dirname(folder)) === 'node_modules';
    if (name !== undefined || existsSync(join(folder, 'node_modules')) || isLast) return { folder, name };
    return this.of(folder);
  }
}

async function isInstalled(project: string, name: string, folder: string): Promise<boolean> {
  const found = await realpath(join(project, 'node_modules', name)).catch(() => undefined);
  return found === folder;
}

async function treeOf(config: string, files: readonly string[]): Promise<FileTree> {
  const folder = dirname(config);
  const tree = new Map<string, Entry>();
  for (const file of files) {
    const path = relative(folder, file).split(sep).join('/');
    if (path.startsWith('../')) throw failure('SIDERO_IMAGE_FILE_OUTSIDE', { file, folder });
    tree.set(file === config ? `sidero.config${extname(config)}` : path, { kind: 'file', mode: 0o644, content: file });
  }
  return tree.set('package.json', textFile(await moduleType(folder)));
}

/** How Node reads the files beside the configuration, as it does here. */
async function moduleType(folder: string): Promise<string> {
  for (let at = folder; ; at = dirname(at)) {
    const text = await readFile(join(at, 'package.json'), 'utf8').catch(() => undefined);
    const { type } = text === undefined ? {} : (JSON.parse(text) as { readonly type?: string });
    if (text !== undefined || at === dirname(at)) return `${JSON.stringify({ private: true, ...(type && { type }) })}\n`;
  }
}
