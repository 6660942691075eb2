import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lackOf, parseNeighbours, subnetsOf } from './interfaces.ts';
import { broadcastOf, contains } from './ipv4.ts';

test('the loopback interface has its network, an interface that does not exist has none', () => {
  expect(subnetsOf('lo')).toContainEqual({ address: '127.0.0.1', netmask: '255.0.0.0' });
  expect(subnetsOf('nosuch0')).toBeUndefined();
});

test('what an interface lacks is told as it is', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'net-'));
  const net = { devices: join(folder, 'dev'), details: folder };
  try {
    await writeFile(net.devices, 'Inter-|   Receive\n face |bytes\n    lo:  12 0\n  br7: 0 0\n  br8: 0 0\n br10: 0 0\n');
    for (const [name, carrier] of [
      ['br7', '0\n'],
      ['br8', '1\n'],
    ] as const) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'carrier'), carrier);
    }
    const problems = ['br', 'br7', 'br8', 'br10'].map((name) => lackOf(name, net).problem);
    expect(problems).toEqual(['is not there', 'is up, but has no carrier', 'has no IPv4 address', 'is down, has no carrier, or has no IPv4 address']);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('neighbours are those that the kernel has resolved', () => {
  const table = `IP address       HW type     Flags       HW address            Mask     Device
10.0.0.10        0x1         0x2         52:54:00:AB:00:01     *        br0
10.0.0.11        0x1         0x0         00:00:00:00:00:00     *        br0
`;
  expect([...parseNeighbours(table)]).toEqual([['10.0.0.10', '52:54:00:ab:00:01']]);
  expect(parseNeighbours('').size).toBe(0);
});

test.each([
  ['10.0.0.1', true],
  ['10.0.0.254', true],
  ['10.0.0.0', false],
  ['10.0.0.255', false],
  ['10.0.1.1', false],
])('%s is a host of 10.0.0.7/24: %s', (address, is) => expect(contains({ address: '10.0.0.7', netmask: '255.255.255.0' }, address)).toBe(is));

test('the broadcast address has all bits of the host part set', () => {
  expect(broadcastOf({ address: '192.168.130.5', netmask: '255.255.128.0' })).toBe('192.168.255.255');
});
