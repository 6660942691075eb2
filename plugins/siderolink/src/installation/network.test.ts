import { describe, expect, test } from 'vitest';
import { hostPort, loopbackNetwork, nodeAddress, subnetOf, tunnelNetwork, withoutPrefix } from './network.ts';

const DOCS = 'AKfdafTbmPeEqjtDc3OPGK9FriGO7CCBBIOZG4RjgmY=';
const bytes = (hex: string) => Buffer.from(hex, 'hex');

// Answers of the original's library.
test.each([
  ['', 'fdae:41e4:649b:9303::/64'],
  [DOCS, 'fdae:2859:5bb1:7a03::/64'],
  ['a', 'fd86:eff8:147c:4e03::/64'],
  ['test', 'fdbf:4f1b:2b0b:8203::/64'],
  ['installation-1', 'fd21:29e5:cdfc:3803::/64'],
  ['00000000-0000-0000-0000-000000000000', 'fd4a:fa95:4793:1303::/64'],
  ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=', 'fded:ec9b:c9ea:b03::/64'],
])('the subnet of installation %j', (id, subnet) => {
  expect(subnetOf(id)).toBe(subnet);
});

test.each([
  ['0000000000000001', 'fdae:2859:5bb1:7a03::1/64'],
  ['3ae3be307ec44c09', 'fdae:2859:5bb1:7a03:3ae3:be30:7ec4:4c09/64'],
  ['ffffffffffffffff', 'fdae:2859:5bb1:7a03:ffff:ffff:ffff:ffff/64'],
  ['0000000000000000', 'fdae:2859:5bb1:7a03::/64'],
  ['00000000be30007c', 'fdae:2859:5bb1:7a03::be30:7c/64'],
])('the address that random bytes %s make', (random, address) => {
  expect(nodeAddress(DOCS, bytes(random))).toBe(address);
});

describe('the network of the tunnel', () => {
  test('has the server at ::1', () => {
    expect(tunnelNetwork(DOCS).server).toBe('fdae:2859:5bb1:7a03::1');
  });

  test('gives no machine the address of the subnet or the server', () => {
    const given = ['0000000000000000', '0000000000000001', '0000000000000002'].map(bytes);
    const network = tunnelNetwork(DOCS, () => given.shift()!);
    expect(network.newAddress('u', 0)).toBe('fdae:2859:5bb1:7a03::2/64');
  });

  test.each([
    ['fdae:2859:5bb1:7a03::2', true],
    ['FDAE:2859:5BB1:7A03:0:0:0:2', true],
    ['fdae:2859:5bb1:7a03:8000::1', true],
    ['fdae:2859:5bb1:7a03::', false],
    ['fdae:2859:5bb1:7a03::1', false],
    ['fdae:2859:5bb1:7a04::2', false],
    ['fdae:2859:5bb1:7a03::2%siderolink', false],
    ['10.0.0.1', false],
    ['bogus', false],
    ['', false],
  ])('%s may be a machine: %s', (address, isMachine) => {
    expect(tunnelNetwork(DOCS).isMachine(address)).toBe(isMachine);
  });
});

describe('the network of demos', () => {
  test('gives a machine the same address each time, and others on further attempts', () => {
    const given = [0, 0, 1, 2].map((attempt) => loopbackNetwork().newAddress('6b121f82-24a8-4611-9d23-fa1a5ba564f0', attempt));
    expect(given[0]).toBe(given[1]);
    expect(new Set(given).size).toBe(3);
    for (const address of given) {
      expect(address).toMatch(/^127\.\d+\.\d+\.\d+\/32$/);
      expect(loopbackNetwork().isMachine(withoutPrefix(address))).toBe(true);
    }
  });

  test.each(['127.0.0.1', '127.1.2.3', '10.128.0.1', '::1', '127.200.0.0', '127.200.0.255'])('%s is no machine', (address) => {
    expect(loopbackNetwork().isMachine(address)).toBe(false);
  });
});

test('only IPv6 hosts get brackets', () => {
  expect(hostPort('fdae:2859:5bb1:7a03::1', 4001)).toBe('[fdae:2859:5bb1:7a03::1]:4001');
  expect(hostPort('127.0.0.1', 4001)).toBe('127.0.0.1:4001');
});
