import { expect, test } from 'vitest';
import { isSameDisk, orderFor, ruleFits } from './disk-rules.ts';

test.each([
  [{ serial: 'S1' }, { serial: ' s1 ' }, true],
  [{ serial: 'S1' }, { serial: 'S12' }, false],
  [{ wwn: '0x5000C500A1' }, { wwn: 'naa.5000c500a1' }, true],
  [{ wwn: 'wwn-0x5000c500a1' }, { wwn: 'naa.5000c500a1' }, true],
  [{ wwn: 'eui.0025385b71b1' }, { wwn: 'eui.0025385b71b1' }, true],
  [{ serial: 'S1', wwn: 'naa.5' }, { serial: 'S1', wwn: 'naa.6' }, false],
  [{}, { serial: '', wwn: '' }, false],
  [{ serial: '' }, {}, false],
])('rule %o and disk %o: %s', (rule, disk, expected) => {
  expect(ruleFits(rule, disk)).toBe(expected);
});

test('the first rule that fits counts, and a disk that no rule names is wiped by the method for all', () => {
  const plan = {
    method: 'zero',
    disks: [
      { serial: 'S1', method: 'keep', reason: 'data' },
      { serial: 'S1', method: 'discard', reason: 'later' },
    ],
  } as const;
  expect(orderFor(plan, { serial: 'S1' })).toEqual({ method: 'keep', reason: 'data' });
  expect(orderFor(plan, { serial: 'S2' })).toEqual({ method: 'zero', reason: '' });
});

test.each([
  ['one world wide name under two device names', { deviceName: '/dev/sda', wwn: 'naa.1' }, { deviceName: '/dev/sdb', wwn: 'naa.1' }, true],
  ['two namespaces of one controller', { serial: 'C', wwn: 'eui.1' }, { serial: 'C', wwn: 'eui.2' }, false],
  ['one device name with two serial numbers', { deviceName: '/dev/sda', serial: 'A' }, { deviceName: '/dev/sda', serial: 'B' }, false],
  ['disks that only have a device name', { deviceName: '/dev/vda' }, { deviceName: '/dev/vda', serial: '' }, true],
  ['disks of which nothing is known', {}, {}, false],
])('%s', (...[, one, other, expected]) => {
  expect(isSameDisk(one, other)).toBe(expected);
});
