import { expect, test } from 'vitest';
import { aDisk, aMachineWith } from './disk.fixture.ts';
import { obstacleOn, targetsOf } from './targets.ts';

const MIB = 1024 * 1024;
const plan = { method: 'zero', disks: [{ serial: 'S-sdb', method: 'keep', reason: 'data' }] } as const;

test('every disk there is now has its order, those built of others and boot areas are none', () => {
  const [names, disk] = [
    ['sda', 'sdb', 'nvme0n1', 'mmcblk0', 'mmcblk0boot0', 'mmcblk0rpmb', 'zram0', 'nbd0', 'md0', 'dm-0', 'sr0', 'loop0'],
    aDisk(MIB),
  ];
  const machine = aMachineWith(Object.fromEntries(names.map((name) => [name, disk])));
  machine.files.set('/sys/block/sdc/size', '0');
  expect(targetsOf(machine, plan).map(({ name, method, reason }) => [name, method, reason])).toEqual([
    ['mmcblk0', 'zero', ''],
    ['nvme0n1', 'zero', ''],
    ['sda', 'zero', ''],
    ['sdb', 'keep', 'data'],
  ]);
});

test('partitions are known in bytes', () => {
  const machine = aMachineWith({ sda: aDisk(MIB) });
  machine.files.set('/sys/block/sda/sda1/partition', '1').set('/sys/block/sda/sda1/start', '2048').set('/sys/block/sda/sda1/size', '8');
  expect(targetsOf(machine, plan)[0]?.partitions).toEqual([{ start: MIB, length: 4096 }]);
});

test.each([
  ['read-only', { '/sys/block/sda/ro': '1' }, 'it is read-only'],
  ['mounted', { '/proc/mounts': '/dev/sda /mnt ext4 rw 0 0' }, 'sda is mounted on /mnt'],
  ['mounted in part', { '/sys/block/sda/sda1/partition': '1', '/proc/mounts': 'x /y z\n/dev/sda1 /boot vfat rw 0 0' }, 'sda1 is mounted on /boot'],
  ['swapped to', { '/proc/swaps': 'Filename Type\n/dev/sda\tpartition 100 0 -2' }, 'sda is swapped to'],
  ['in a volume', { '/sys/block/sda/holders/dm-0': '' }, 'it is part of dm-0'],
  [
    'in an array that is mounted',
    { '/sys/block/sda/holders/md127': '', '/proc/mounts': '/dev/md127 /data xfs rw 0 0' },
    'it is part of md127, and md127 is mounted on /data',
  ],
  ['in an array below a volume', { '/sys/block/sda/holders/md127': '', '/sys/block/md127/holders/dm-3': '' }, 'it is part of md127, below dm-3'],
  [
    'in an array that does not stop',
    { '/sys/block/sda/holders/md127': '', '/sys/block/md127/md/array_state': 'active' },
    'it is part of the array md127, which does not stop (active)',
  ],
])('a disk that is %s is not written to', (...[, files, words]) => {
  const machine = aMachineWith({ sda: aDisk(MIB) });
  for (const [path, text] of Object.entries(files)) machine.files.set(path, text);
  expect(obstacleOn(machine, 'sda')).toBe(words);
});

test('an array that nobody uses is stopped', () => {
  const machine = aMachineWith({ sda: aDisk(MIB) });
  machine.files.set('/sys/block/sda/sda1/partition', '1').set('/sys/block/sda/sda1/holders/md127', '');
  expect(obstacleOn(machine, 'sda')).toBeUndefined();
  expect(machine.written.get('/sys/block/md127/md/array_state')).toBe('clear');
});
