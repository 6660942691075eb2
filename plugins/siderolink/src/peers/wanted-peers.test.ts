import type { ServerBinding } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import { tunnelNetwork } from '../installation/network.ts';
import { changesBetween } from './changes.ts';
import { wantedPeers } from './wanted-peers.ts';

const network = tunnelNetwork('AKfdafTbmPeEqjtDc3OPGK9FriGO7CCBBIOZG4RjgmY=');
const address = (end: number) => `fdae:2859:5bb1:7a03::${end.toString(16)}`;
const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const binding = (name: string, siderolink?: { address: string; publicKey: string }, creationTimestamp = '2026-01-01T00:00:00Z'): ServerBinding => ({
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
  kind: 'ServerBinding',
  metadata: { name, creationTimestamp },
  spec: { metalMachineRef: { name: 'mm' }, ...(siderolink && { siderolink }) },
});
const peersOf = (...bindings: ServerBinding[]) => {
  const { peers, problems } = wantedPeers(bindings, network);
  return { peers: [...peers.values()].map(({ uuid, publicKey, address: at }) => [uuid, publicKey, at]), problems };
};

describe('who shall be in the tunnel', () => {
  test('every machine that joined', () => {
    const joined = binding('a', { address: `${address(16)}/64`, publicKey: key(1) });
    const waiting = [binding('b'), binding('c', { address: '', publicKey: '' }), binding('d', { address: `${address(17)}/64`, publicKey: '' })];
    expect(peersOf(joined, ...waiting)).toEqual({ peers: [['a', key(1), address(16)]], problems: [] });
  });

  test.each([
    ['its key is none', { address: `${address(16)}/64`, publicKey: 'bogus' }],
    ['is none of this installation', { address: `${address(1)}/64`, publicKey: key(1) }],
    ['is none of this installation', { address: 'fd00::5/64', publicKey: key(1) }],
    ['is none of this installation', { address: 'bogus', publicKey: key(1) }],
  ])('nobody whose binding says %s', (problem, siderolink) => {
    expect(peersOf(binding('a', siderolink))).toEqual({ peers: [], problems: [{ uuid: 'a', problem: expect.stringContaining(problem) as string }] });
  });

  test.each([
    ['key', { address: `${address(17)}/64`, publicKey: key(1) }],
    ['address', { address: `${address(16).toUpperCase()}/64`, publicKey: key(2) }],
  ])('the older of two that have one %s', (what, siderolink) => {
    const older = binding('b', { address: `${address(16)}/64`, publicKey: key(1) }, '2025-01-01T00:00:00Z');
    const { peers, problems } = peersOf(binding('a', siderolink), older);
    expect(peers).toEqual([['b', key(1), address(16)]]);
    expect(problems).toEqual([{ uuid: 'a', problem: expect.stringMatching(new RegExp(`its ${what} .*that of b`)) as string }]);
  });
});

// The cases of the original, with what it does better: removes are always honoured.
describe('what the device is told', () => {
  const [k1, k2] = [key(1), key(2)];
  const wanted = (...list: [string, string][]) =>
    new Map(list.map(([publicKey, at]) => [publicKey, { uuid: publicKey, binding: publicKey, publicKey, address: at }]));
  test.each([
    ['a machine that is new', {}, wanted([k1, address(1)]), [{ publicKey: k1, address: address(1) }]],
    ['another address of a machine, once', { [k1]: [address(1)] }, wanted([k1, address(2)]), [{ publicKey: k1, address: address(2) }]],
    ['a machine that is there already: nothing', { [k1]: [address(1)] }, wanted([k1, address(1)]), []],
    ['nobody: nothing', {}, wanted(), []],
    ['a machine that is gone', { [k1]: [address(1)] }, wanted(), [{ publicKey: k1, remove: true }]],
    ['a stranger with several addresses', { [k1]: [address(1), address(2)] }, wanted(), [{ publicKey: k1, remove: true }]],
    ['a stranger with none', { [k1]: [] }, wanted(), [{ publicKey: k1, remove: true }]],
    ['a machine with more than its address', { [k1]: [address(1), '::/0'] }, wanted([k1, address(1)]), [{ publicKey: k1, address: address(1) }]],
    [
      'a new key of a machine: the old one goes first',
      { [k2]: [address(1)] },
      wanted([k1, address(1)]),
      [
        { publicKey: k2, remove: true },
        { publicKey: k1, address: address(1) },
      ],
    ],
  ] as [string, Record<string, string[]>, ReturnType<typeof wanted>, object[]][])('%s', (...[, installed, peers, changes]) => {
    expect(changesBetween(new Map(Object.entries(installed)), peers)).toEqual(changes);
  });
});
