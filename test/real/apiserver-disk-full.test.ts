import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { createLogger, createMetrics, createResourceClient, SecretKind } from '@sidero/core';
import { startApiServer } from '@sidero/plugin-apiserver';
import { expect, test } from 'vitest';

const run = promisify(execFile);

/** A disk of 1 MiB; undefined where none can be mounted. */
async function smallDisk(): Promise<(AsyncDisposable & { readonly path: string }) | undefined> {
  const path = await mkdtemp(join(tmpdir(), 'sidero-disk-'));
  const isMounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', path]).then(
    () => true,
    () => false,
  );
  const dispose = async () => {
    if (isMounted) await run('umount', ['--lazy', path]);
    await rm(path, { recursive: true, force: true });
  };
  if (isMounted) return { path, [Symbol.asyncDispose]: dispose };
  await dispose();
  return undefined;
}

test('a full disk is named to who writes and in the log, once, and writing goes on when there is room', async ({ skip }) => {
  await using disk = await smallDisk();
  if (!disk) return skip('needs the right to mount a tmpfs');
  let told = '';
  const destination = new Writable({
    write: (chunk, _encoding, done) => {
      told += String(chunk);
      done();
    },
  });
  const server = await startApiServer({ dataDir: disk.path, customResources: [], log: createLogger({ destination }) });
  const quiet = createLogger({ level: 'silent' });
  const client = createResourceClient({ kubeConfig: () => server.kubeConfig, log: quiet, metrics: createMetrics(), component: 'test' });
  try {
    const write = (name: string) => client.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'default' } });
    await write('before');
    const ballast = join(disk.path, 'ballast');
    await writeFile(ballast, Buffer.alloc(1 << 20)).catch(() => undefined);
    for (const name of ['a', 'b', 'c'])
      await expect(write(name)).rejects.toThrow(
        `There is no space left for the API's data in ${disk.path}/api: nothing can be written. Next: make room`,
      );
    expect(told.split('SIDERO_APISERVER_DISK_FULL')).toHaveLength(2);
    await rm(ballast);
    await write('after');
    expect(await client.get(SecretKind, { name: 'before', namespace: 'default' }, { live: true })).toBeDefined();
  } finally {
    await client.close();
    await server.close();
  }
});
