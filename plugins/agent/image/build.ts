#!/usr/bin/env node
/**
 * Builds what a network-booted machine runs: Debian's kernel, and an initramfs with its drivers, Node and the agent.
 *
 *   npm run build:agent -- [--arch amd64] [--out .sidero/env/agent-amd64]
 *
 * Most of it lies in a squashfs that the initramfs carries and mounts: unpacked, Node alone would not fit into the half of 512 MiB that
 * an initramfs may take. Writes `vmlinuz` and `initramfs.xz` (the name is fixed by the boot script, the content is zstd). Does nothing when nothing changed.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { rolldown } from 'rolldown';
import { cpio, type Entry } from './cpio.ts';
import { BuildFailure, dependencyOf, packageFile, run, unpackPackage } from './debian.ts';
import { kernelOf, moduleEntries } from './drivers.ts';
import { squashfs } from './squashfs.ts';
import { type Arch, ARCHITECTURES, findRuntime, type Runtime, runtimeEntries } from './runtime.ts';

const plugin = new URL('..', import.meta.url).pathname;
const cache = process.env['SIDERO_TEST_CACHE'] ?? join(homedir(), '.cache/sidero-test');
const SIZE_LIMIT_BYTES = 100 * 1024 * 1024;
/** Most of the image is compressed already. */
const ZSTD_LEVEL = 3;

/** Builds into `out` unless its key says that it holds this build already; returns whether it built. */
async function build(arch: Arch, out: string): Promise<boolean> {
  if (ARCHITECTURES[arch].host !== process.arch)
    throw new BuildFailure(`${arch} is built on ${arch} only, this is ${process.arch}. Next: run it there.`);
  const runtime = await findRuntime(arch);
  const program = await bundle();
  const kernelName = await dependencyOf(`linux-image-${arch}`);
  const key = await keyOf([program, runtime.version, await packageFile(kernelName), await packageFile('busybox-static')]);
  const known = await readFile(join(out, '.key'), 'utf8').catch(() => '');
  if (known === key) return false;
  const kernel = await kernelOf((await unpackPackage(kernelName, cache)).folder);
  const busybox = join((await unpackPackage('busybox-static', cache)).folder, 'bin/busybox');
  const parts = { runtime, program, kernel, busybox };
  const entries = await initramfsEntries(parts, await squashfs(await systemEntries(parts), cache));
  const image = await promisify(zstdCompress)(cpio(entries), { params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
  if (image.length > SIZE_LIMIT_BYTES)
    throw new BuildFailure(`the image has ${image.length} bytes, more than ${SIZE_LIMIT_BYTES}. Next: look at what image/drivers.ts takes in.`);
  await mkdir(out, { recursive: true });
  await copyFile(kernel.image, join(out, 'vmlinuz'));
  await replace(join(out, 'initramfs.xz'), image);
  await replace(join(out, '.key'), key);
  return true;
}

/** Everything the result depends on. */
async function keyOf(inputs: readonly string[]): Promise<string> {
  const here = new URL('.', import.meta.url).pathname;
  const own = (await readdir(here)).filter((name) => !name.endsWith('.test.ts')).sort();
  const texts = await Promise.all(
    [...own.map((name) => join(here, name)), join(plugin, 'machine/udhcpc.script')].map((file) => readFile(file, 'utf8')),
  );
  return createHash('sha256')
    .update(JSON.stringify([...inputs, ...texts]))
    .digest('hex');
}

/** The agent with everything it imports, in one file; only koffi stays outside, for its native half. */
async function bundle(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(plugin, 'package.json'), 'utf8')) as { version: string };
  await using bundler = await rolldown({
    input: join(plugin, 'machine/main.ts'),
    platform: 'node',
    external: ['koffi'],
    resolve: { conditionNames: ['source', 'node', 'import', 'default'] },
    transform: { define: { AGENT_VERSION: JSON.stringify(version) } },
    logLevel: 'silent',
  });
  const { output } = await bundler.generate({ format: 'cjs', minify: { mangle: false, compress: true, codegen: true } });
  return output[0].code;
}

type Parts = { readonly runtime: Runtime; readonly program: string; readonly kernel: Awaited<ReturnType<typeof kernelOf>>; readonly busybox: string };

/** What the machine works with, in the compressed file system. */
async function systemEntries({ runtime, program, kernel, busybox }: Parts): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>([['agent.cjs', { kind: 'file', mode: 0o644, data: Buffer.from(program) }]]);
  for (const [path, entry] of await runtimeEntries(runtime)) entries.set(path, entry);
  for (const [path, entry] of await moduleEntries(kernel, busybox)) entries.set(path, entry);
  return entries;
}

/** What the kernel unpacks into memory: as little as it takes to mount the rest. */
async function initramfsEntries(parts: Parts, system: Uint8Array): Promise<ReadonlyMap<string, Entry>> {
  const { kernel, busybox } = parts;
  const file = async (path: string, mode: number): Promise<Entry> => ({ kind: 'file', mode, data: await readFile(path) });
  const link = (target: string): Entry => ({ kind: 'link', target });
  const applets = (await run(busybox, ['--list-full'], { hint: '' })).split('\n').filter((path) => /^(usr\/)?s?bin\//.test(path));
  const entries = new Map<string, Entry>(applets.map((path) => [path, link('/bin/busybox')]));
  for (const folder of ['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'etc', 'system']) entries.set(folder, { kind: 'directory' });
  for (const path of ['lib', 'lib64', 'bin/node']) entries.set(path, link(`/system/${path}`));
  entries.set('dev/console', { kind: 'device', mode: 0o600, major: 5, minor: 1 });
  entries.set('dev/null', { kind: 'device', mode: 0o666, major: 1, minor: 3 });
  entries.set('bin/busybox', await file(busybox, 0o755));
  entries.set('init', await file(new URL('init', import.meta.url).pathname, 0o755));
  entries.set('etc/udhcpc.script', await file(join(plugin, 'machine/udhcpc.script'), 0o755));
  entries.set('boot/loop.ko', await file(join(kernel.modules, 'kernel/drivers/block/loop.ko'), 0o644));
  entries.set('boot/squashfs.ko', await file(join(kernel.modules, 'kernel/fs/squashfs/squashfs.ko'), 0o644));
  entries.set('boot/system.squashfs', { kind: 'file', mode: 0o644, data: system });
  return entries;
}

/** Whoever serves the file meanwhile sees the old or the new one. */
async function replace(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { arch: { type: 'string', default: 'amd64' }, out: { type: 'string' } } });
  if (!(values.arch in ARCHITECTURES)) throw new BuildFailure(`--arch ${values.arch} is not one of ${Object.keys(ARCHITECTURES).join(', ')}.`);
  const out = values.out ?? join('.sidero/env', `agent-${values.arch}`);
  const startedAt = performance.now();
  const built = await build(values.arch as Arch, out);
  const { length } = await readFile(join(out, 'initramfs.xz'));
  const what = `${out}/initramfs.xz, ${(length / 1e6).toFixed(1)} MB`;
  console.log(built ? `built ${what} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s` : `${what}: up to date`);
}

main().catch((thrown: unknown) => {
  console.error(thrown instanceof BuildFailure ? `build:agent: ${thrown.message}` : thrown);
  process.exitCode = 1;
});
