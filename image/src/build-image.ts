import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { debianPackages } from './debian/debian-packages.ts';
import { systemTree } from './debian/system-tree.ts';
import { failure } from './errors.ts';
import type { Entry, FileTree } from './file-tree.ts';
import { nodeTree } from './node-tree.ts';
import { writeImageArchive } from './oci/write-image-archive.ts';
import { type Layer, packLayer } from './oci/pack-layer.ts';
import { type Platform, platformOf } from './platform.ts';
import { installedPackages, type InstalledPackage, packageTree } from './project/package-tree.ts';
import { readProject } from './project/read-project.ts';

/** What an image is made of, and where it goes. */
export interface ImageOptions {
  /** Absolute path of sidero.config.ts, or of one in another language. */
  readonly config: string;
  /** The archive. */
  readonly out: string;
  /** Name and tag: "registry.example.com/sidero-metal:v0.7.0". */
  readonly name: string;
  /** "linux/amd64" or "linux/arm64". */
  readonly platform: string;
  /** Folders "agent-amd64", "agent-arm64" with vmlinuz and initramfs.xz for servers with that processor. */
  readonly agents: readonly string[];
  /** Keeps packages between builds. */
  readonly cache: string;
  /** ISO 8601; of the image, not of its files. */
  readonly created: string;
}

/** What came of it. */
export interface BuiltImage {
  /** Of the manifest; a registry calls the image so. */
  readonly digest: string;
  readonly layers: readonly Layer[];
}

/** What the Deployment of the bundle and docs/install.md say of the image. */
const PLACES = { home: 'sidero', dataDir: 'var/lib/sidero', workingDir: 'sidero/config', command: 'usr/local/bin/sidero' } as const;

/** Builds an image. The same packages, configuration and agent give the same digest. */
export async function buildImage(options: ImageOptions): Promise<BuiltImage> {
  const platform = platformOf(options.platform);
  const parts = await partsOf(options, platform);
  await mkdir(dirname(options.out), { recursive: true });
  const folder = await mkdtemp(`${options.out}.layers-`);
  try {
    const layers = await Promise.all(parts.trees.map(([title, tree]) => packLayer(tree, { title, folder })));
    const { architecture } = platform;
    const { name, created } = options;
    const digest = await writeImageArchive({ name, created, architecture, layers, run: runConfig(name, parts.nodeVersion) }, options.out);
    return { digest, layers };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Parts {
  readonly nodeVersion: string;
  /** Layers by what is in them: what changes seldom lies low, so that an upgrade pulls little. */
  readonly trees: readonly (readonly [title: string, tree: FileTree])[];
}

async function partsOf({ config, cache, agents }: ImageOptions, platform: Platform): Promise<Parts> {
  const agentTrees = await Promise.all(agents.map(agentTree));
  const project = await readProject(config);
  const source = { project: project.folder, platform, cache };
  const packages = await installedPackages(source, [...new Set([...project.packages, '@sidero/core'])]);
  const [node, debian] = await Promise.all([nodeTree(source), debianPackages(cache, platform.architecture)]);
  const others = packages.filter((one) => !isOurs(one));
  const below = async (some: readonly InstalledPackage[]) => moved(await packageTree(some), PLACES.home);
  const trees: [string, FileTree][] = [
    ['Debian', await systemTree(debian)],
    [`Node ${node.version}`, node.tree],
    ['dependencies', await below(others)],
    ...agentTrees,
    ['Sidero', new Map([...(await below(packages.filter(isOurs))), ...commandTree()])],
    ['configuration', new Map([...moved(project.tree, PLACES.home), ...folders()])],
  ];
  return { nodeVersion: node.version, trees };
}

/** What changes with Sidero, or is written by whoever builds the image. */
function isOurs({ name, isLink }: InstalledPackage): boolean {
  return isLink || name.startsWith('@sidero/');
}

function moved(tree: FileTree, folder: string): FileTree {
  return new Map([...tree].map(([path, entry]) => [`${folder}/${path}`, entry]));
}

function commandTree(): FileTree {
  return new Map<string, Entry>([[PLACES.command, { kind: 'link', target: `/${PLACES.home}/node_modules/@sidero/core/bin/sidero.js` }]]);
}

function folders(): FileTree {
  return new Map([PLACES.workingDir, PLACES.dataDir].map((path) => [path, { kind: 'directory', mode: 0o755 }]));
}

/** An agent, where machines with its processor look for it. */
async function agentTree(folder: string): Promise<[title: string, tree: FileTree]> {
  const title = basename(folder);
  if (!/^agent-(amd64|arm64)$/.test(title)) throw failure('SIDERO_IMAGE_AGENT_UNKNOWN', { folder });
  const files = ['vmlinuz', 'initramfs.xz'].map((name) => [`${PLACES.dataDir}/env/${title}/${name}`, join(folder, name)] as const);
  const found = await Promise.all(files.map(([, file]) => stat(file).catch(() => undefined)));
  if (found.includes(undefined)) throw failure('SIDERO_IMAGE_AGENT_MISSING', { folder });
  return [title, new Map(files.map(([path, content]) => [path, { kind: 'file', mode: 0o644, content }]))];
}

function runConfig(name: string, nodeVersion: string) {
  return {
    Entrypoint: ['sidero'],
    Cmd: ['start'],
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'NODE_ENV=production', `NODE_VERSION=${nodeVersion}`],
    WorkingDir: `/${PLACES.workingDir}`,
    Labels: { 'org.opencontainers.image.title': 'sidero-metal', 'org.opencontainers.image.ref.name': name },
  };
}
