import { StorageType } from '@sidero/plugin-agent/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { serialOfPage80, storageFacts } from './disks.ts';
import { aMachine } from './machine.fixture.ts';

test('disks are told with type, size, serial number and WWN', () => {
  const machine = aMachine({
    '/sys/block/nvme0n1/size': '2097152\n',
    '/sys/block/nvme0n1/queue/rotational': '0',
    '/sys/block/nvme0n1/device/serial': 'NV123  ',
    '/sys/block/nvme0n1/device/model': 'Fast Disk',
    '/sys/block/nvme0n1/wwid': 'nvme.1b36',
    '/sys/block/sda/size': '4194304',
    '/sys/block/sda/queue/rotational': '1',
    '/sys/block/sda/device/vpd_pg80': Buffer.from([0, 0x80, 0, 6, ...Buffer.from(' SATA9')]),
    '/sys/block/sda/device/wwid': 'naa.5000c50015ea71ac',
    '/sys/block/vda/size': '8',
    '/sys/block/vda/queue/rotational': '0',
    '/sys/block/vda/serial': 'VIRT7',
    '/sys/block/mmcblk0/size': '16',
    '/sys/block/mmcblk0/device/name': 'SD32G',
  });
  expect(storageFacts(machine)).toEqual({
    totalSize: 2097152n * 512n + 4194304n * 512n + 24n * 512n,
    deviceCount: 4,
    devices: [
      expect.objectContaining({ type: StorageType.SD, deviceName: '/dev/mmcblk0', name: 'SD32G', size: 8192n }),
      expect.objectContaining({ type: StorageType.NVMe, deviceName: '/dev/nvme0n1', serial: 'NV123', model: 'Fast Disk', wwid: 'nvme.1b36' }),
      expect.objectContaining({ type: StorageType.HDD, deviceName: '/dev/sda', serial: 'SATA9', wwid: 'naa.5000c50015ea71ac' }),
      expect.objectContaining({ type: StorageType.SSD, deviceName: '/dev/vda', serial: 'VIRT7' }),
    ],
  });
});

test('what is no disk of the machine, or has no medium, is left out', () => {
  const names = ['sg0', 'sr0', 'loop0', 'md0', 'dm-0', 'ram0'];
  const files = Object.fromEntries(names.map((name) => [`/sys/block/${name}/size`, '100']));
  expect(storageFacts(aMachine({ ...files, '/sys/block/sdb/size': '0' })).devices).toEqual([]);
});

test('a machine without disks has none', () => {
  expect(storageFacts(aMachine())).toEqual({ devices: [], deviceCount: 0, totalSize: 0n });
});

test('any page 0x80 gives printable text', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => /^[\x20-\x7e]*$/.test(serialOfPage80(bytes))));
});
