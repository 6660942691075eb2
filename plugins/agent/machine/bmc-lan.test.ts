import fc from 'fast-check';
import { isIPv6 } from 'node:net';
import { expect, test } from 'vitest';
import { localBmc } from './bmc-commands.ts';
import { aBmc, aMachineWith, type BmcFixture, LAN } from './bmc.fixture.ts';
import { findLan, globalIpv6, obstacleOn } from './bmc-lan.ts';

const { signal } = new AbortController();
const lanOf = (bmc: BmcFixture) => findLan(localBmc(aMachineWith(bmc), signal));
const ipv6 = (text: string) => text.split(':').flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);
/** A value of the parameters 56 and 59: set, source, address, prefix length, status. */
const ipv6Value = (text: string, status = 0) => [0, 0x80, ...ipv6(text), 64, status];

test('address and port are those of the LAN channel', async () => {
  expect(await lanOf(aBmc())).toEqual({ channel: 1, ip: '10.0.9.1', port: 623 });
});

test('a LAN channel without address is passed over for one that has', async () => {
  const bmc = aBmc();
  Object.assign(bmc.channels, { 2: LAN, 3: LAN });
  Object.assign(bmc.lan, { '1/3/0': [0, 0, 0, 0], '2/3/0': [169, 254, 3, 4], '3/3/0': [10, 0, 9, 3], '3/8/0': [0x56, 0x18] });
  expect(await lanOf(bmc)).toEqual({ channel: 3, ip: '10.0.9.3', port: 6230 });
});

test.each([
  ['refuses to tell it', undefined],
  ['tells half of it', [0x6f]],
  ['says 0', [0, 0]],
])('a BMC that %s has the port 623', async (_how, value) => {
  const bmc = aBmc();
  if (value) bmc.lan['1/8/0'] = value;
  else delete bmc.lan['1/8/0'];
  expect(await lanOf(bmc)).toMatchObject({ port: 623 });
});

test('without IPv4 the first IPv6 address counts that is in force and reaches further than the link', async () => {
  const bmc = aBmc();
  bmc.lan['1/3/0'] = [0, 0, 0, 0];
  bmc.lan['1/56/0'] = ipv6Value('2001:db8:0:0:0:0:0:1', 1);
  bmc.lan['1/59/0'] = ipv6Value('fe80:0:0:0:0:0:0:7');
  bmc.lan['1/59/1'] = ipv6Value('2001:db8:0:0:0:0:0:7');
  expect(await lanOf(bmc)).toMatchObject({ ip: '2001:db8::7' });
});

test('a BMC that knows no channels has its LAN on channel 1', async () => {
  const bmc = aBmc();
  bmc.answering = ({ command }) => (command === 0x42 ? 0xc1 : 'as usual');
  expect(await lanOf(bmc)).toMatchObject({ channel: 1, ip: '10.0.9.1' });
});

test('a BMC without LAN is none that can be set up; one without address can be put right', async () => {
  const bmc = aBmc();
  bmc.channels[1] = 0x05;
  await expect(lanOf(bmc)).rejects.toMatchObject({ message: 'the BMC has no LAN', isQuiet: true });
  bmc.channels[1] = LAN;
  bmc.lan['1/3/0'] = [0, 0, 0, 0];
  await expect(lanOf(bmc)).rejects.toMatchObject({ message: expect.stringContaining('no address yet'), isQuiet: false });
});

test.each([
  [[0x20, 0x04], 'IPMI over LAN is disabled on channel 1 of the BMC'],
  [[0x21, 0x04], 'IPMI over LAN is open before the operating system starts only on channel 1 of the BMC'],
  [[0x22, 0x03], 'channel 1 of the BMC lets nobody be administrator (its privilege limit is 3)'],
  [[0x22, 0x04], undefined],
  [[0x23, 0x05], undefined],
  [[0x22, 0x00], undefined],
] as const)('channel access %j: %s', async (access, expected) => {
  const bmc = aBmc();
  bmc.channelAccess = access;
  expect(await obstacleOn(localBmc(aMachineWith(bmc), signal), 1)).toBe(expected);
});

test('a BMC that does not tell its channel access has no obstacle that we know of', async () => {
  const bmc = aBmc();
  bmc.answering = () => 0xc1;
  expect(await obstacleOn(localBmc(aMachineWith(bmc), signal), 1)).toBeUndefined();
});

test('every IPv6 address is in its canonical form, or none to talk to', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const ip = globalIpv6([...bytes]);
      expect(ip === undefined || isIPv6(ip)).toBe(true);
    }),
  );
  expect([ipv6('0:0:0:0:0:0:0:0'), ipv6('0:0:0:0:0:0:0:1'), ipv6('febf:0:0:0:0:0:0:1'), ipv6('ff02:0:0:0:0:0:0:1')].map(globalIpv6)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
