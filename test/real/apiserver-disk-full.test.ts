import { Writable } from 'node:stream';
import { createLogger, createMetrics, createResourceClient, SecretKind } from '@sidero/core';
import { startApiServer } from '@sidero/plugin-apiserver';
import { expect, test } from 'vitest';
import { smallDisk } from './small-disk.ts';

test('a full disk is named to who writes and in the log, once, and writing goes on when there is room', async ({ skip }) => {
  await using disk = await smallDisk(1);
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
    const makeRoom = await disk.fill();
    for (const name of ['a', 'b', 'c'])
      await expect(write(name)).rejects.toThrow(
        `There is no space left for the API's data in ${disk.path}/api: nothing can be written. Next: make room`,
      );
    expect(told.split('SIDERO_APISERVER_DISK_FULL')).toHaveLength(2);
    await makeRoom();
    await write('after');
    expect(await client.get(SecretKind, { name: 'before', namespace: 'default' }, { live: true })).toBeDefined();
  } finally {
    await client.close();
    await server.close();
  }
});
