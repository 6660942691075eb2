import { expect, test } from 'vitest';
import { aMachine, type MachineFixture } from './machine.fixture.ts';
import { bringUpNetwork } from './network.ts';

const signal = new AbortController().signal;
const eth = (name: string, mac: string, carrier = '1') => ({
  [`/sys/class/net/${name}/type`]: '1',
  [`/sys/class/net/${name}/device/vendor`]: '0x8086',
  [`/sys/class/net/${name}/address`]: mac,
  [`/sys/class/net/${name}/carrier`]: carrier,
});
const [bootMac, otherMac] = ['52:54:00:00:00:01', '52:54:00:00:00:02'];

/** What udhcpc's script prints when a lease comes. */
function bound(machine: MachineFixture, link: string, lease: { ip: string; [variable: string]: string }): void {
  const daemon = machine.daemons.find(({ args }) => args.includes(link));
  for (const [key, value] of Object.entries({ mask: '24', serverid: '10.0.0.1', ...lease, event: 'bound' })) daemon?.onLine(`sidero:${key}=${value}`);
}

test('DHCP runs on every link, and the one that booted us decides', async () => {
  const machine = aMachine({ ...eth('eth0', otherMac), ...eth('eth1', bootMac), '/sys/class/net/lo/type': '772' });
  const up = bringUpNetwork(machine, { mac: bootMac, host: '10.0.0.1' }, signal);
  let isUp = false;
  void up.then(() => {
    isUp = true;
  });
  await expect.poll(() => machine.daemons.map(({ args }) => args[2])).toEqual(['eth0', 'eth1']);
  bound(machine, 'eth0', { ip: '10.9.0.7' });
  await expect.poll(() => machine.said).toHaveLength(1);
  expect(isUp).toBe(false);
  bound(machine, 'eth1', { ip: '10.0.0.7', router: '10.0.0.1', hostname: 'rack1-u7', dns: '10.0.0.2' });
  await up;
  expect(machine.ran).toContain('ip route replace 0.0.0.0/0 via 10.0.0.1 dev eth1 metric 100');
  expect(machine.written.get('/proc/sys/kernel/hostname')).toBe('rack1-u7');
  expect(machine.written.get('/etc/resolv.conf')).toBe('nameserver 10.0.0.2\n');
});

test('another link will do when the one that booted us gets no answer', async () => {
  const machine = aMachine({ ...eth('eth0', otherMac), ...eth('eth1', bootMac) });
  const up = bringUpNetwork(machine, { mac: bootMac, host: '10.0.0.1' }, signal);
  await expect.poll(() => machine.daemons).toHaveLength(2);
  bound(machine, 'eth0', { ip: '10.9.0.7' });
  await up;
  expect(machine.now()).toBeGreaterThan(15_000);
});

test('without a MAC any link will do', async () => {
  const machine = aMachine(eth('eth0', otherMac));
  const up = bringUpNetwork(machine, { mac: undefined, host: '10.0.0.1' }, signal);
  await expect.poll(() => machine.daemons).toHaveLength(1);
  bound(machine, 'eth0', { ip: '10.9.0.7' });
  await up;
});

test('a renewal that changes nothing leaves the link alone', async () => {
  const machine = aMachine(eth('eth0', bootMac));
  const up = bringUpNetwork(machine, { mac: bootMac, host: '10.0.0.1' }, signal);
  await expect.poll(() => machine.daemons).toHaveLength(1);
  bound(machine, 'eth0', { ip: '10.0.0.7' });
  await up;
  const before = machine.ran.length;
  bound(machine, 'eth0', { ip: '10.0.0.7' });
  bound(machine, 'eth0', { ip: '10.0.0.8' });
  await expect.poll(() => machine.said).toHaveLength(2);
  expect(machine.ran.slice(before)).toEqual(['ip -4 addr flush dev eth0', 'ip addr add 10.0.0.8/24 broadcast + dev eth0']);
});

test('a management plane on IPv6 needs no DHCP', async () => {
  const machine = aMachine(eth('eth0', bootMac));
  machine.addressed = { eth0: ['fd00::7/64'] };
  await bringUpNetwork(machine, { mac: bootMac, host: 'fd00::1' }, signal);
});

test('after 5 min without an answer the failure names the links and their state', async () => {
  const machine = aMachine({ ...eth('eth0', bootMac), ...eth('eth1', otherMac, '0') });
  await expect(bringUpNetwork(machine, { mac: bootMac, host: '10.0.0.1' }, signal)).rejects.toMatchObject({
    stage: 'network',
    message: `no DHCP answer in 5 min on eth0 (${bootMac}, link up), eth1 (${otherMac}, no link)`,
  });
  expect(machine.now()).toBeGreaterThan(300_000);
});

test('a machine without a link says so', async () => {
  await expect(bringUpNetwork(aMachine(), { mac: bootMac, host: '10.0.0.1' }, signal)).rejects.toThrow('there is no network interface');
});
