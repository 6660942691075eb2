import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { StaticFile } from './static-file.ts';

const CHUNK_BYTES = 256 * 1024;

// Neither hidden nor above: temporary and side files begin with a dot.
const NAME = /^[A-Za-z\d][\w.-]*$/;

/** The file `file` in the folder `folder` below `root`; undefined when there is none of that name, or it is none. */
export async function openStored(root: string, folder: string, file: string): Promise<StaticFile | undefined> {
  if (!NAME.test(folder) || !NAME.test(file)) return undefined;
  const handle = await open(join(root, folder, file), 'r').catch((error: NodeJS.ErrnoException) => {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(error.code ?? '')) return undefined;
    throw error;
  });
  if (!handle) return undefined;
  const stat = await handle.stat();
  if (!stat.isFile()) {
    await handle.close();
    return undefined;
  }
  return {
    sizeBytes: stat.size,
    modified: stat.mtime,
    etag: `${stat.mtimeMs.toString(16)}-${stat.size.toString(16)}`,
    read: (start, end) => (end > start ? handle.createReadStream({ start, end: end - 1, highWaterMark: CHUNK_BYTES, autoClose: false }) : none()),
    close: () => handle.close(),
  };
}

/** A file that is in memory. */
export function inMemory(bytes: Uint8Array): StaticFile {
  return {
    sizeBytes: bytes.length,
    etag: createHash('sha256').update(bytes).digest('hex').slice(0, 32),
    async *read(start, end) {
      yield bytes.subarray(start, end);
    },
    close: async () => undefined,
  };
}

async function* none(): AsyncGenerator<Uint8Array> {}
