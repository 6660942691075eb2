import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { SideroError } from '@sidero/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HardwareInformationSchema, StorageType } from './agent_pb.ts';
import { border } from './border.ts';
import { hardwareOf } from './hardware.ts';

const mapped = (told: MessageInitShape<typeof HardwareInformationSchema>) =>
  hardwareOf(create(HardwareInformationSchema, told), border('CreateServer'));

test('a report of the original becomes the spec it would write', () => {
  const hardware = mapped({
    system: {
      uuid: '4C4C4544-0039-3010-8047-C4C04F4E4D32',
      manufacturer: 'Dell Inc.',
      productName: 'PowerEdge R630',
      serialNumber: '790H8D2',
      skuNumber: 'NotProvided',
    },
    compute: {
      totalCoreCount: 16,
      totalThreadCount: 32,
      processorCount: 1,
      processors: [{ manufacturer: 'Intel', productName: 'Xeon', speed: 2600, coreCount: 16, threadCount: 32 }],
    },
    memory: {
      totalSize: 16_384,
      moduleCount: 1,
      modules: [{ manufacturer: 'Micron', productName: '36ASF2', type: 'DDR4', size: 16_384, speed: 2133 }],
    },
    storage: {
      totalSize: 1_000_204_886_016n,
      deviceCount: 1,
      devices: [{ type: StorageType.HDD, size: 1_000_204_886_016n, model: 'ST1000', deviceName: '/dev/sda', wwid: 'naa.5' }],
    },
    network: {
      interfaceCount: 1,
      interfaces: [{ index: 2, name: 'eth0', flags: 'up|broadcast', mtu: 1500, mac: '02:00:00:00:00:01', addresses: ['10.0.0.7/24'] }],
    },
  });
  expect(hardware).toEqual({
    system: {
      uuid: '4c4c4544-0039-3010-8047-c4c04f4e4d32',
      manufacturer: 'Dell Inc.',
      productName: 'PowerEdge R630',
      serialNumber: '790H8D2',
      skuNumber: 'NotProvided',
    },
    compute: {
      totalCoreCount: 16,
      totalThreadCount: 32,
      processorCount: 1,
      processors: [{ manufacturer: 'Intel', productName: 'Xeon', speed: 2600, coreCount: 16, threadCount: 32 }],
    },
    memory: {
      totalSize: '16 GB',
      moduleCount: 1,
      modules: [{ manufacturer: 'Micron', productName: '36ASF2', type: 'DDR4', size: 16_384, speed: 2133 }],
    },
    storage: {
      totalSize: '931 GB',
      deviceCount: 1,
      devices: [{ type: 'HDD', size: 1_000_204_886_016, productName: 'ST1000', deviceName: '/dev/sda', wwid: 'naa.5' }],
    },
    network: {
      interfaceCount: 1,
      interfaces: [{ index: 2, name: 'eth0', flags: 'up|broadcast', mtu: 1500, mac: '02:00:00:00:00:01', addresses: ['10.0.0.7/24'] }],
    },
  });
});

test('what our agent adds is kept, also a link that is down', () => {
  const hardware = mapped({
    firmware: { vendor: 'SeaBIOS', bootMode: 'bios' },
    baseboard: { serialNumber: 'B1' },
    bmc: { present: false },
    network: { interfaces: [{ name: 'eth0', driver: 'igb', carrier: false, speedMbps: 0 }] },
  });
  expect(hardware).toMatchObject({ firmware: { vendor: 'SeaBIOS', bootMode: 'bios' }, baseboard: { serialNumber: 'B1' }, bmc: { present: false } });
  expect(hardware.network?.interfaces).toEqual([{ name: 'eth0', driver: 'igb', carrier: false }]);
});

test('a count that disagrees with its list does not decide', () => {
  expect(mapped({ memory: { moduleCount: 0, modules: [{}, {}] } }).memory?.moduleCount).toBe(2);
});

test('control characters never reach a terminal', () => {
  expect(mapped({ system: { serialNumber: ' AB\u001b[31mC\u0000 ' } }).system?.serialNumber).toBe('AB[31mC');
});

test.each([
  ['compute.processor_count', { compute: { processorCount: 4_000_000_000 } }],
  ['memory.total_size', { memory: { totalSize: 2 ** 31 } }],
  ['storage.devices', { storage: { devices: Array.from({ length: 4097 }, () => ({})) } }],
  ['storage.devices[0].size', { storage: { devices: [{ size: 2n ** 60n }] } }],
  ['network.interfaces[0].mac', { network: { interfaces: [{ mac: 'x'.repeat(513) }] } }],
])('an absurd %s is refused by name', (field, told) => {
  expect(() => mapped(told)).toThrow(expect.objectContaining({ code: 'SIDERO_AGENT_REQUEST_INVALID', message: expect.stringContaining(field) }));
});

test('any bytes are an inventory or a classified error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      let told: ReturnType<typeof create<typeof HardwareInformationSchema>>;
      try {
        told = fromBinary(HardwareInformationSchema, bytes);
      } catch {
        return; // not protobuf; grpc-js answers that
      }
      try {
        JSON.stringify(hardwareOf(told, border('CreateServer')));
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(SideroError);
      }
    }),
  );
});
