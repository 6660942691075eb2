import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Entry } from './cpio.ts';
import { run, unpackPackage } from './debian.ts';

/**
 * A compressed read-only file system. Unlike an initramfs it is not unpacked: only what is used is in memory, and can leave it again.
 * All belongs to root and is of 1970. `cache` keeps Debian's mksquashfs.
 */
export async function squashfs(entries: ReadonlyMap<string, Entry>, cache: string): Promise<Uint8Array> {
  const [tools, lzo] = [await unpackPackage('squashfs-tools', cache), await unpackPackage('liblzo2-2', cache)];
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const libraries = ['lib', 'usr/lib'].map((folder) => join(lzo.folder, folder, triplet)).join(':');
  const work = await mkdtemp(join(tmpdir(), 'sidero-agent-squashfs-'));
  try {
    const [root, out] = [join(work, 'root'), join(work, 'out')];
    for (const [path, entry] of entries) await place(join(root, path), entry);
    const compression = ['-comp', 'zstd', '-Xcompression-level', '12', '-b', '1M'];
    const sameBytes = ['-all-root', '-mkfs-time', '0', '-all-time', '0', '-no-xattrs'];
    const args = [root, out, '-noappend', '-quiet', '-no-progress', ...compression, ...sameBytes];
    await run(join(tools.folder, 'usr/bin/mksquashfs'), args, { hint: 'report it with this output.', env: { LD_LIBRARY_PATH: libraries } });
    return await readFile(out);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function place(path: string, entry: Entry): Promise<void> {
  await mkdir(entry.kind === 'directory' ? path : dirname(path), { recursive: true });
  if (entry.kind === 'file') await writeFile(path, entry.data, { mode: entry.mode });
  if (entry.kind === 'link') await symlink(entry.target, path);
  // Device files are in /dev, which the kernel fills.
}
