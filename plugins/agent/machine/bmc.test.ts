import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bmcFacts, parseDeviceId, parseLanParameter } from './bmc.ts';
import { aMachine } from './machine.fixture.ts';

// Get Device ID of a Dell iDRAC: firmware 2.52, IPMI 2.0, manufacturer 674.
const DEVICE_ID = Uint8Array.from([0, 0x20, 0x01, 0x02, 0x52, 0x02, 0xdf, 0xa2, 0x02, 0x00, 0x00, 0x01]);

test('the BMC is found on whichever channel is its LAN', async () => {
  const asked: string[] = [];
  const machine = aMachine(
    {},
    {
      ipmi: async ({ netFn, command, data }) => {
        asked.push(`${netFn}/${command} ${data.join(' ')}`);
        if (command === 0x01) return DEVICE_ID;
        if (netFn === 0x06) return Uint8Array.from(data[0] === 8 ? [0, 8, 0x04] : data[0] === 1 ? [0, 1, 0x05] : [0xcc]);
        return Uint8Array.from(data[1] === 3 ? [0, 0x11, 10, 0, 9, 1] : [0, 0x11, 0xd0, 0x67, 0xe5, 1, 2, 3]);
      },
    },
  );
  expect(await bmcFacts(machine)).toEqual({
    present: true,
    ipmiVersion: '2.0',
    firmwareVersion: '2.52',
    manufacturerId: 674,
    address: '10.0.9.1',
    mac: 'd0:67:e5:01:02:03',
  });
  expect(asked).not.toContain('12/2 1 3 0 0');
});

test('a BMC whose LAN has no address is present without one', async () => {
  const machine = aMachine(
    {},
    {
      ipmi: async ({ netFn, command }) => (command === 0x01 ? DEVICE_ID : Uint8Array.from(netFn === 0x06 ? [0, 1, 0x04] : [0, 0x11, 0, 0, 0, 0])),
    },
  );
  expect(await bmcFacts(machine)).toEqual({ present: true, ipmiVersion: '2.0', firmwareVersion: '2.52', manufacturerId: 674 });
});

test('a machine without IPMI device has no BMC', async () => {
  expect(await bmcFacts(aMachine())).toEqual({ present: false });
});

test('IPMI 1.5 is told as such', () => {
  expect(parseDeviceId(Uint8Array.from([...DEVICE_ID.subarray(0, 5), 0x51, ...DEVICE_ID.subarray(6)]))?.ipmiVersion).toBe('1.5');
});

test('any reply is a value or nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), fc.integer({ min: 1, max: 16 }), (reply, length) => {
      parseDeviceId(reply);
      expect(parseLanParameter(reply, length)?.length ?? length).toBe(length);
    }),
  );
});
