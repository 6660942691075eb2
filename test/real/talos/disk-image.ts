import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, unpackPackage } from '../../../plugins/agent/image/debian.ts';
import { testCache } from '../kubernetes-parts.ts';

const SECTOR = 512;
/** GRUB lies before it. */
const FIRST_SECTOR = 2048;
/** Behind it the stand-in keeps its state; disk.go.txt knows the place, too. */
const END = 64 * 1024 * 1024;

/** What is booted. */
export interface Boot {
  readonly kernel: Uint8Array;
  readonly initramfs: Uint8Array;
  readonly args: readonly string[];
}

/**
 * The first part of a disk that a BIOS boots: GRUB, which needs no file system, as it can be told in which sectors a file lies; then the kernel,
 * then the initramfs.
 */
export async function bootableDisk({ kernel, initramfs, args }: Boot): Promise<Uint8Array> {
  const sectors = (bytes: Uint8Array) => Math.ceil(bytes.length / SECTOR);
  const initramfsSector = FIRST_SECTOR + sectors(kernel);
  const loader = await biosLoader([
    `linux (hd0)${FIRST_SECTOR}+${sectors(kernel)} ${args.join(' ')}`,
    `initrd (hd0)${initramfsSector}+${sectors(initramfs)}`,
    'boot',
  ]);
  const disk = Buffer.alloc((initramfsSector + sectors(initramfs)) * SECTOR);
  if (loader.length > FIRST_SECTOR * SECTOR || disk.length > END)
    throw new Error(`GRUB of ${loader.length} bytes or a disk of ${disk.length} is too long`);
  disk.set(loader);
  disk.set(kernel, FIRST_SECTOR * SECTOR);
  disk.set(initramfs, initramfsSector * SECTOR);
  return disk;
}

/** A boot sector, and the rest of GRUB in the sectors that follow; it runs these commands. */
async function biosLoader(commands: readonly string[]): Promise<Uint8Array> {
  const [tools, library, files] = await Promise.all(
    ['grub-common', 'libdevmapper1.02.1', 'grub-pc-bin'].map((name) => unpackPackage(name, testCache())),
  );
  const work = await mkdtemp(join(tmpdir(), 'sidero-grub-'));
  try {
    const [config, core] = [join(work, 'grub.cfg'), join(work, 'core.img')];
    await writeFile(config, `${commands.join('\n')}\n`);
    const modules = join(files!.folder, 'usr/lib/grub/i386-pc');
    const args = ['-O', 'i386-pc', '-d', modules, '-p', '(hd0)/grub', '-c', config, '-o', core, 'biosdisk', 'linux', 'boot'];
    const env = { LD_LIBRARY_PATH: join(library!.folder, 'lib/x86_64-linux-gnu') };
    await run(join(tools!.folder, 'usr/bin/grub-mkimage'), args, { hint: 'report it with this output.', env });
    return Buffer.concat([await readFile(join(modules, 'boot.img')), await readFile(core)]);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
