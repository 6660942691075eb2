import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Lease } from './lease-book.ts';
import { LeaseFile } from './lease-file.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'leases-'));
  path = join(directory, 'data', 'dhcp-leases.json');
});
afterEach(() => rm(directory, { recursive: true }));

const lease: Lease = {
  address: '10.0.0.10',
  client: 'mac 52:54:00:12:34:56',
  mac: '52:54:00:12:34:56',
  hostname: 'node',
  expiresMs: 1000,
  state: 'bound',
};

test('leases are there after a restart, each on its interface; offers are not', async () => {
  const file = await LeaseFile.open(path);
  file.book('br0').set(lease);
  file.book('br0').set({ ...lease, address: '10.0.0.11', client: 'other', state: 'offered' });
  file.book('br1').set({ ...lease, address: '10.1.0.10' });
  await file.save();
  const again = await LeaseFile.open(path);
  expect(again.book('br0').list()).toEqual([lease]);
  expect(again.book('br1').at('10.1.0.10')).toBeDefined();
});

test('a save holds what the books held when it was called, however many run', async () => {
  const file = await LeaseFile.open(path);
  const saves = Array.from({ length: 50 }, async (_, index) => {
    const address = `10.0.0.${index + 1}`;
    file.book('br0').set({ ...lease, address, client: address });
    await file.save();
    expect(await readFile(path, 'utf8')).toContain(`"${address}"`);
  });
  await Promise.all(saves);
  expect(await readdir(join(directory, 'data'))).toEqual(['dhcp-leases.json']);
});

test('anything else than leases is a classified error', async () => {
  const odd = fc.oneof(fc.string(), fc.json(), fc.constant('{"version":1,"interfaces":{"br0":[{"address":"x"}]}}'));
  path = join(directory, 'odd.json');
  await fc.assert(
    fc.asyncProperty(odd, async (text) => {
      await writeFile(path, text);
      await expect(LeaseFile.open(path)).rejects.toMatchObject({ code: 'SIDERO_DHCP_LEASES_UNREADABLE' });
    }),
    { numRuns: 50 },
  );
});
