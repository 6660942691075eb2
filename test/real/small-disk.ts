import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A disk that is soon full. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Takes all of its room; gives what frees it again. */
  fill(): Promise<() => Promise<void>>;
}

/** A disk of so many MiB; undefined where none can be mounted. */
export async function smallDisk(sizeMiB: number): Promise<SmallDisk | undefined> {
  const path = await mkdtemp(join(tmpdir(), 'sidero-disk-'));
  const isMounted = await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'none', path]).then(
    () => true,
    () => false,
  );
  const dispose = async () => {
    if (isMounted) await run('umount', ['--lazy', path]);
    await rm(path, { recursive: true, force: true });
  };
  if (!isMounted) {
    await dispose();
    return undefined;
  }
  const ballast = join(path, 'ballast');
  const fill = async () => {
    await writeFile(ballast, Buffer.alloc(sizeMiB << 20)).catch(() => undefined);
    return () => rm(ballast);
  };
  return { path, fill, [Symbol.asyncDispose]: dispose };
}
