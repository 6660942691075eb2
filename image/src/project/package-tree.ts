import { readFile, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure } from '../errors.ts';
import type { Entry, FileTree } from '../file-tree.ts';
import { HOST, type Platform, type RunsOn, runsOn } from '../platform.ts';
import { runCommand } from '../run-command.ts';
import { ForeignPackages } from './foreign-packages.ts';

/** A package as npm has installed it. */
export interface InstalledPackage {
  readonly name: string;
  /** From the project: "node_modules/a/node_modules/b". */
  readonly at: string;
  readonly folder: string;
  /** It is written here: npm has only linked to it. */
  readonly isLink: boolean;
}

interface Manifest extends RunsOn {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

interface Wanted {
  readonly name: string;
  /** Where it is asked for: "" is the project. */
  readonly from: string;
  readonly by: string;
  readonly isOptional: boolean;
}

/** Where packages are looked for, and what for. */
export interface PackageSource {
  /** Folder that node_modules is in. */
  readonly project: string;
  readonly platform: Platform;
  /** Keeps packages for other platforms than this one. */
  readonly cache: string;
}

/**
 * The packages of those names with all that they depend on, as installed in the project, and where they lie: what is tested here is what is in the image. For
 * another platform native halves are fetched, as the lock file has them.
 * @throws SIDERO_IMAGE_PACKAGE_MISSING, SIDERO_IMAGE_PACKAGE_ALTERED, SIDERO_IMAGE_COMMAND_FAILED
 */
export async function installedPackages(source: PackageSource, names: readonly string[]): Promise<readonly InstalledPackage[]> {
  const found = new Map<string, InstalledPackage>();
  const foreign = source.platform.cpu === HOST.cpu ? undefined : new ForeignPackages(source);
  const wanted: Wanted[] = names.map((name) => ({ name, from: '', by: 'the configuration', isOptional: false }));
  for (let next = wanted.pop(); next; next = wanted.pop()) {
    const installed = await find(next, { project: source.project, foreign });
    if (!installed && !next.isOptional) throw failure('SIDERO_IMAGE_PACKAGE_MISSING', next);
    if (!installed || found.has(installed.at)) continue;
    const manifest = JSON.parse(await readFile(join(installed.folder, 'package.json'), 'utf8')) as Manifest;
    if (!runsOn(manifest, source.platform)) continue;
    found.set(installed.at, installed);
    for (const need of needsOf(manifest)) wanted.push({ ...need, from: installed.at, by: next.name });
  }
  return [...found.values()].sort((a, b) => (a.at < b.at ? -1 : 1));
}

/** As Node looks for it: in the package that asks, then in each that this one lies in, then in the project. */
async function find(
  { name, from, isOptional }: Wanted,
  { project, foreign }: { readonly project: string; readonly foreign: ForeignPackages | undefined },
): Promise<InstalledPackage | undefined> {
  for (let place = from; ; place = place.slice(0, Math.max(0, place.lastIndexOf('/node_modules/')))) {
    const at = `${place === '' ? '' : `${place}/`}node_modules/${name}`;
    // Through links, as npm made them.
    const folder = await realpath(join(project, at)).catch(() => undefined);
    if (folder !== undefined) return { name, at, folder, isLink: !folder.split('/').includes('node_modules') };
    const fetched = isOptional ? await foreign?.folderOf(name, at) : undefined;
    if (fetched !== undefined) return { name, at, folder: fetched, isLink: false };
    if (place === '') return undefined;
  }
}

function needsOf(manifest: Manifest): readonly { readonly name: string; readonly isOptional: boolean }[] {
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifest;
  // npm lists what is optional among the rest as well.
  const needs = new Map<string, boolean>();
  for (const name of Object.keys(peerDependencies)) needs.set(name, peerDependenciesMeta[name]?.optional === true);
  for (const name of Object.keys(dependencies)) needs.set(name, false);
  for (const name of Object.keys(optionalDependencies)) needs.set(name, true);
  return [...needs].map(([name, isOptional]) => ({ name, isOptional }));
}

/** What only editors, people and other runtimes read, and TypeScript, which Node refuses in packages; licences stay. */
const LEFT_OUT = /(\.[cm]?ts|\.map|\.bare|\.tsbuildinfo|\.markdown|\.md)$/;
const LICENCE = /(^|\/)(licen[cs]e|copying|notice)[^/]*$/i;

/** The files of packages, below node_modules of the image. */
export async function packageTree(packages: readonly InstalledPackage[]): Promise<FileTree> {
  const written = await publishedFiles(packages.filter(({ isLink }) => isLink));
  const tree = new Map<string, Entry>();
  for (const { at, folder } of packages) {
    const files = written.get(folder) ?? (await allFiles(folder));
    for (const path of files) {
      if (LEFT_OUT.test(path) && !LICENCE.test(path)) continue;
      const file = join(folder, path);
      const mode = ((await stat(file)).mode & 0o111) === 0 ? 0o644 : 0o755;
      tree.set(`${at}/${path}`, { kind: 'file', mode, content: file });
    }
  }
  return tree;
}

/** Files of an installed package; those that lie in it are packages of their own. */
async function allFiles(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  return paths.filter((path) => !path.startsWith('node_modules/'));
}

/** What npm would publish of packages that are written here, by their folders. @throws SIDERO_IMAGE_PACKAGE_UNBUILT */
async function publishedFiles(packages: readonly InstalledPackage[]): Promise<ReadonlyMap<string, readonly string[]>> {
  if (packages.length === 0) return new Map();
  const folders = packages.map(({ folder }) => folder);
  const command = ['npm', 'pack', '--dry-run', '--json', '--ignore-scripts', ...folders] as const;
  const text = (await runCommand(command, { next: 'correct what npm says', cwd: dirname(folders[0]!) })).toString();
  const packed = Object.values(JSON.parse(text) as Record<string, { readonly name: string; readonly files: readonly { readonly path: string }[] }>);
  const found = new Map<string, readonly string[]>();
  for (const { name, folder } of packages) {
    const files = packed.find((pack) => pack.name === name)?.files.map(({ path }) => path) ?? [];
    const missing = (await promised(folder)).find((path) => !files.includes(path));
    if (missing !== undefined) throw failure('SIDERO_IMAGE_PACKAGE_UNBUILT', { name, missing });
    found.set(folder, files);
  }
  return found;
}

/** The files that a package exports, unless by a pattern. */
async function promised(folder: string): Promise<readonly string[]> {
  const { exports: exported = {} } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { readonly exports?: unknown };
  const entries = typeof exported === 'string' ? [exported] : Object.values(exported as Record<string, string | { readonly default?: string }>);
  const files = entries.map((entry) => (typeof entry === 'string' ? entry : entry.default));
  return files.filter((file) => file !== undefined && !file.includes('*')).map((file) => file!.replace(/^\.\//, ''));
}
