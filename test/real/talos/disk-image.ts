import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, unpackPackage } from '../../../plugins/agent/image/debian.ts';
import { testCache } from '../kubernetes-parts.ts';
import { FAT_SIZE, fatImage } from './fat-image.ts';

const SECTOR = 512;
/** A BIOS' GRUB lies before it. */
const FIRST_SECTOR = 2048;
/** Behind it the stand-in keeps its state; disk.go.txt knows the place, too. */
const END = 64 * 1024 * 1024;
/** In the boot sector. */
const PARTITION_ENTRY = 446;
const EFI_SYSTEM = 0xef;

/** What is booted. */
export interface Boot {
  readonly kernel: Uint8Array;
  readonly initramfs: Uint8Array;
  readonly args: readonly string[];
}

/**
 * The first part of a disk that a BIOS and UEFI boot. GRUB needs no file system, as it can be told in which sectors a file lies: for a BIOS it starts in
 * the boot sector, for UEFI it is the only file of a partition. The kernel and the initramfs follow, in no partition.
 */
export async function bootableDisk({ kernel, initramfs, args }: Boot): Promise<Uint8Array> {
  const sectors = (bytes: Uint8Array) => Math.ceil(bytes.length / SECTOR);
  const kernelSector = FIRST_SECTOR + FAT_SIZE;
  const initramfsSector = kernelSector + sectors(kernel);
  const commands = [
    `linux (hd0)${kernelSector}+${sectors(kernel)} ${args.join(' ')}`,
    `initrd (hd0)${initramfsSector}+${sectors(initramfs)}`,
    'boot',
  ];
  // One after the other, as both unpack the same package.
  const bios = await biosLoader(commands);
  const efi = await efiLoader(commands);
  const disk = Buffer.alloc((initramfsSector + sectors(initramfs)) * SECTOR);
  if (bios.length > FIRST_SECTOR * SECTOR || disk.length > END)
    throw new Error(`GRUB of ${bios.length} bytes or a disk of ${disk.length} is too long`);
  disk.set(bios);
  disk.set(fatImage('EFI/BOOT/BOOTX64.EFI', { content: efi, startSector: FIRST_SECTOR }), FIRST_SECTOR * SECTOR);
  writePartition(disk);
  disk.set(kernel, kernelSector * SECTOR);
  disk.set(initramfs, initramfsSector * SECTOR);
  return disk;
}

function writePartition(disk: Buffer): void {
  // What GRUB has there is for floppy disks.
  disk.fill(0, PARTITION_ENTRY, SECTOR - 2);
  // Cylinders, heads and sectors: beyond what they can tell.
  disk.set([0x80, 0xfe, 0xff, 0xff, EFI_SYSTEM, 0xfe, 0xff, 0xff], PARTITION_ENTRY);
  disk.writeUInt32LE(FIRST_SECTOR, PARTITION_ENTRY + 8);
  disk.writeUInt32LE(FAT_SIZE, PARTITION_ENTRY + 12);
}

/** A boot sector, and the rest of GRUB in the sectors that follow; it runs these commands. */
async function biosLoader(commands: readonly string[]): Promise<Uint8Array> {
  const { core, modules } = await grub(commands, { package: 'grub-pc-bin', platform: 'i386-pc', disk: 'biosdisk' });
  return Buffer.concat([await readFile(join(modules, 'boot.img')), core]);
}

/** GRUB as a program of UEFI. */
async function efiLoader(commands: readonly string[]): Promise<Uint8Array> {
  // UEFI's own disks are part of its kernel.
  return (await grub(commands, { package: 'grub-efi-amd64-bin', platform: 'x86_64-efi' })).core;
}

async function grub(
  commands: readonly string[],
  target: { readonly package: string; readonly platform: string; readonly disk?: string },
): Promise<{ core: Uint8Array; modules: string }> {
  const [tools, library, files] = await Promise.all(
    ['grub-common', 'libdevmapper1.02.1', target.package].map((name) => unpackPackage(name, testCache())),
  );
  const modules = join(files!.folder, 'usr/lib/grub', target.platform);
  const work = await mkdtemp(join(tmpdir(), 'sidero-grub-'));
  try {
    const [config, core] = [join(work, 'grub.cfg'), join(work, 'core.img')];
    await writeFile(config, `${commands.join('\n')}\n`);
    const wanted = [...(target.disk ? [target.disk] : []), 'linux', 'boot'];
    const args = ['-O', target.platform, '-d', modules, '-p', '(hd0)/grub', '-c', config, '-o', core, ...wanted];
    const env = { LD_LIBRARY_PATH: join(library!.folder, 'lib/x86_64-linux-gnu') };
    await run(join(tools!.folder, 'usr/bin/grub-mkimage'), args, { hint: 'report it with this output.', env });
    return { core: await readFile(core), modules };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
