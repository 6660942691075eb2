import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import { cpio, type Entry } from '../../../plugins/agent/image/cpio.ts';
import { dependencyOf, run, unpackPackage } from '../../../plugins/agent/image/debian.ts';
import { kernelOf, parseDependencies } from '../../../plugins/agent/image/drivers.ts';
import { testCache } from '../kubernetes-parts.ts';
import { bootableDisk } from './disk-image.ts';
import { talosProgram } from './program.ts';

/**
 * What a machine boots that runs the stand-in, as an Environment has it (`vmlinuz`, `initramfs.xz`), and what it installs: `disk.img`, from which
 * it boots the same with arguments of its own.
 */
export interface TalosImage {
  readonly folder: string;
}

/** Arguments of the kernel that is booted from disk: no word of where a configuration or a management plane is, as with Talos. */
const DISK_ARGS = ['console=ttyS0', 'loglevel=3', 'panic=10', 'talos.platform=metal'];
/** What a machine of QEMU has, and the kernel's own WireGuard. */
const DRIVERS = ['virtio_pci', 'virtio_net', 'virtio_blk', 'wireguard'];
/** Everything here that the result depends on, besides the stand-in itself. What Debian's kernel is today, it may stay. */
const SOURCES = ['image.ts', 'disk-image.ts', 'fat-image.ts', 'init', 'udhcpc.script'];

/** Where the image is once it is built from the sources as they are now. */
export function talosImageFolder(): string {
  const hash = createHash('sha256').update(talosProgram());
  for (const file of SOURCES) hash.update(`${file}\0`).update(readFileSync(join(import.meta.dirname, file)));
  return join(testCache(), 'talos', `image-${hash.digest('hex').slice(0, 12)}`);
}

/** Builds it when it is not there, in about 10 s, from the stand-in and Debian packages. @throws BuildFailure, which says what is missing */
export async function ensureTalosImage(): Promise<TalosImage> {
  const folder = talosImageFolder();
  if (existsSync(folder)) return { folder };
  await mkdir(join(folder, '..'), { recursive: true });
  const work = await mkdtemp(`${folder}.`);
  try {
    await build(work);
    await rename(work, folder).catch((thrown: unknown) => {
      // Another build was first.
      if (!existsSync(folder)) throw thrown;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { folder };
}

async function build(work: string): Promise<void> {
  const kernel = await kernelOf((await unpackPackage(await dependencyOf('linux-image-cloud-amd64'), testCache())).folder);
  const busybox = join((await unpackPackage('busybox-static', testCache())).folder, 'bin/busybox');
  const initramfs = await promisify(zstdCompress)(cpio(await initramfsEntries(kernel.modules, { busybox, version: kernel.version })));
  await writeFile(join(work, 'initramfs.xz'), initramfs);
  await copyFile(kernel.image, join(work, 'vmlinuz'));
  await writeFile(join(work, 'disk.img'), await bootableDisk({ kernel: await readFile(kernel.image), initramfs, args: DISK_ARGS }));
}

async function initramfsEntries(modules: string, host: { busybox: string; version: string }): Promise<ReadonlyMap<string, Entry>> {
  const file = async (path: string, mode = 0o644): Promise<Entry> => ({ kind: 'file', mode, data: await readFile(path) });
  const drivers = await driversInOrder(modules, host);
  const names = drivers.map((path) => `/lib/modules/${path.split('/').at(-1)}`);
  const entries = new Map<string, Entry>(['dev', 'proc', 'sys', 'run', 'tmp'].map((folder) => [folder, { kind: 'directory' }]));
  entries.set('dev/console', { kind: 'device', mode: 0o600, major: 5, minor: 1 });
  entries.set('dev/null', { kind: 'device', mode: 0o666, major: 1, minor: 3 });
  for (const [index, path] of drivers.entries()) entries.set(names[index]!.slice(1), await file(join(modules, path)));
  entries.set('etc/modules', { kind: 'file', mode: 0o644, data: Buffer.from(`${names.join('\n')}\n`) });
  entries.set('etc/udhcpc.script', await file(join(import.meta.dirname, 'udhcpc.script'), 0o755));
  entries.set('init', await file(join(import.meta.dirname, 'init'), 0o755));
  entries.set('bin/busybox', await file(host.busybox, 0o755));
  entries.set('bin/talos', await file(talosProgram(), 0o755));
  return entries;
}

/** Paths of the drivers and of all that they depend on, which comes first. */
async function driversInOrder(modules: string, { busybox, version }: { busybox: string; version: string }): Promise<readonly string[]> {
  const index = join(modules, 'modules.dep');
  if (!existsSync(index)) await run(busybox, ['depmod', '-b', join(modules, '../../..'), version], { hint: 'it must run here.' });
  const dependencies = parseDependencies(await readFile(index, 'utf8'));
  const ordered = new Set<string>();
  const add = (path: string): void => {
    if (ordered.has(path)) return;
    dependencies.get(path)?.forEach(add);
    ordered.add(path);
  };
  for (const driver of DRIVERS) {
    const path = [...dependencies.keys()].find((known) => known.endsWith(`/${driver}.ko`));
    if (!path) throw new Error(`the kernel has no module ${driver}`);
    add(path);
  }
  return [...ordered];
}
