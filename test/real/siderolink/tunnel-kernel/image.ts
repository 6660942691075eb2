import { existsSync } from 'node:fs';
import { readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { rolldown } from 'rolldown';
import { cpio, type Entry } from '../../../../plugins/agent/image/cpio.ts';
import { dependencyOf, run, unpackPackage } from '../../../../plugins/agent/image/debian.ts';
import { kernelOf, parseDependencies } from '../../../../plugins/agent/image/drivers.ts';
import { findRuntime, runtimeEntries } from '../../../../plugins/agent/image/runtime.ts';
import { testCache } from '../../kubernetes-parts.ts';

const PROGRAMS = ['/usr/sbin/ip', '/usr/bin/wg'];

/** Builds kernel and initramfs of a guest that runs `guest.ts`, into `folder`; about 5 s. */
export async function buildGuest(folder: string): Promise<{ readonly kernel: string; readonly initramfs: string }> {
  const kernel = await kernelOf((await unpackPackage(await dependencyOf('linux-image-cloud-amd64'), testCache())).folder);
  const busybox = join((await unpackPackage('busybox-static', testCache())).folder, 'bin/busybox');
  const entries = new Map<string, Entry>(await runtimeEntries(await findRuntime('amd64')));
  const add = async (to: string, from: string) => entries.set(to, { kind: 'file', mode: 0o755, data: await readFile(from) });
  for (const empty of ['dev', 'proc', 'sys', 'run', 'tmp', 'sbin']) entries.set(empty, { kind: 'directory' });
  entries.set('dev/console', { kind: 'device', mode: 0o600, major: 5, minor: 1 });
  entries.set('dev/null', { kind: 'device', mode: 0o666, major: 1, minor: 3 });
  await add('bin/busybox', busybox);
  await add('init', join(import.meta.dirname, 'init'));
  for (const program of PROGRAMS) {
    await add(program.slice(1), await realpath(program));
    for (const library of await librariesOf(program)) await add(library.slice(1), await realpath(library));
  }
  const modules = await modulesOf(kernel.modules, { busybox, version: kernel.version });
  for (const path of modules) await add(`lib/modules/${path.split('/').at(-1)}`, join(kernel.modules, path));
  const names = modules.map((path) => `/lib/modules/${path.split('/').at(-1)}\n`);
  entries.set('etc/modules', { kind: 'file', mode: 0o644, data: Buffer.from(names.join('')) });
  entries.set('guest.cjs', { kind: 'file', mode: 0o644, data: Buffer.from(await bundle()) });
  const initramfs = join(folder, 'initramfs');
  await writeFile(initramfs, await promisify(zstdCompress)(cpio(entries), { params: { [constants.ZSTD_c_compressionLevel]: 1 } }));
  return { kernel: kernel.image, initramfs };
}

async function bundle(): Promise<string> {
  await using bundler = await rolldown({
    input: join(import.meta.dirname, 'guest.ts'),
    platform: 'node',
    // Of core, the errors are all that this way to WireGuard needs.
    resolve: {
      conditionNames: ['source', 'node', 'import', 'default'],
      alias: { '@sidero/core': join(import.meta.dirname, '../../../../core/src/errors.ts') },
    },
    logLevel: 'silent',
  });
  const { output } = await bundler.generate({ format: 'cjs' });
  return output[0].code;
}

async function librariesOf(program: string): Promise<readonly string[]> {
  const text = await run('ldd', [program], { hint: 'install libc-bin.' });
  return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path!);
}

/** WireGuard with all that it depends on, which comes first. */
async function modulesOf(modules: string, { busybox, version }: { busybox: string; version: string }): Promise<readonly string[]> {
  const index = join(modules, 'modules.dep');
  if (!existsSync(index)) await run(busybox, ['depmod', '-b', join(modules, '../../..'), version], { hint: 'it must run here.' });
  const dependencies = parseDependencies(await readFile(index, 'utf8'));
  const wireguard = [...dependencies.keys()].find((path) => path.endsWith('/wireguard.ko'))!;
  // modules.dep lists what must be there first last.
  return [...dependencies.get(wireguard)!.toReversed(), wireguard];
}
