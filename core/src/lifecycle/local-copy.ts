import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalCopy } from './boot-choice.ts';

/** Looks whether both files of an Environment are there; they appear under their names only when whole. */
export async function localCopy(dataDir: string, environment: string): Promise<LocalCopy> {
  for (const file of ['vmlinuz', 'initramfs.xz']) {
    const path = join(dataDir, 'env', environment, file);
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (!isThere) return { ready: false, reason: `${file} was not fetched yet` };
  }
  return { ready: true };
}
