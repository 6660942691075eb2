import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aBmc, aMachineWith, DEVICE_ID, LAN } from './bmc.fixture.ts';
import { bmcFacts, parseDeviceId } from './bmc.ts';
import { aMachine } from './machine.fixture.ts';

const { signal } = new AbortController();
const DEVICE = { present: true, ipmiVersion: '2.0', firmwareVersion: '2.52', manufacturerId: 674 };

test('the BMC is found on whichever channel is its LAN', async () => {
  const bmc = aBmc();
  Object.assign(bmc.channels, { 1: 0x05, 8: LAN });
  bmc.lan['8/3/0'] = [10, 0, 9, 8];
  bmc.lan['8/5/0'] = [0xd0, 0x67, 0xe5, 1, 2, 3];
  expect(await bmcFacts(aMachineWith(bmc), signal)).toEqual({ ...DEVICE, address: '10.0.9.8', mac: 'd0:67:e5:01:02:03' });
  expect(bmc.asked).not.toContainEqual(expect.objectContaining({ netFn: 0x0c, data: [1, 3, 0, 0] }));
});

test('a BMC whose LAN has no address is present without one', async () => {
  const bmc = aBmc();
  bmc.lan['1/3/0'] = [0, 0, 0, 0];
  expect(await bmcFacts(aMachineWith(bmc), signal)).toEqual(DEVICE);
});

test('a machine without IPMI device has no BMC', async () => {
  expect(await bmcFacts(aMachine(), signal)).toEqual({ present: false });
});

test('IPMI 1.5 is told as such', () => {
  expect(parseDeviceId(DEVICE_ID.with(4, 0x51))?.ipmiVersion).toBe('1.5');
});

test('any answer to Get Device ID is a value or nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (reply) => {
      expect(parseDeviceId([...reply]) === undefined).toBe(reply.length < 11);
    }),
  );
});
