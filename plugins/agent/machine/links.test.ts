import { expect, test } from 'vitest';
import { networkFacts, reachableAddresses } from './links.ts';
import { aMachine } from './machine.fixture.ts';

const link = (name: string, files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).map(([file, text]) => [`/sys/class/net/${name}/${file}`, text]));

test('links are told by index, with speed only while there is a link', () => {
  const machine = aMachine({
    ...link('eth1', { ifindex: '2', address: '52:54:00:AA:00:01', flags: '0x1003', mtu: '1500', carrier: '1', speed: '10000' }),
    ...link('eth0', { ifindex: '3', address: '52:54:00:aa:00:02', flags: '0x1002', mtu: '9000', speed: '-1' }),
    ...link('lo', { ifindex: '1', address: '00:00:00:00:00:00', flags: '0x9' }),
  });
  machine.links.set('/sys/class/net/eth1/device/driver', 'ixgbe');
  machine.addressed = { eth1: ['10.0.0.7/24'] };
  expect(networkFacts(machine)).toEqual({
    interfaceCount: 2,
    interfaces: [
      {
        index: 2,
        name: 'eth1',
        flags: 'up|broadcast|multicast|running',
        mtu: 1500,
        mac: '52:54:00:aa:00:01',
        addresses: ['10.0.0.7/24'],
        carrier: true,
        speedMbps: 10_000,
        driver: 'ixgbe',
      },
      {
        index: 3,
        name: 'eth0',
        flags: 'broadcast|multicast',
        mtu: 9000,
        mac: '52:54:00:aa:00:02',
        addresses: [],
        carrier: false,
        speedMbps: 0,
        driver: '',
      },
    ],
  });
});

test('only global addresses are reachable, those of the link that booted us first', () => {
  const machine = aMachine(link('eth1', { address: '52:54:00:aa:00:01' }));
  machine.addressed = {
    lo: ['127.0.0.1/8', '::1/128'],
    eth0: ['10.9.0.7/24', 'fe80::1/64', '169.254.1.1/16'],
    eth1: ['10.0.0.7/24', 'fd00::7/64', '10.0.0.7/32'],
  };
  expect(reachableAddresses(machine, '52:54:00:aa:00:01')).toEqual(['10.0.0.7', 'fd00::7', '10.9.0.7']);
});
