import { expect, test } from 'vitest';
import { isReplay } from './event-order.ts';

/** An xid: second, process, count. */
function xid(second: number, count: number, process = 'aabbcc0001'): string {
  const bytes = Buffer.alloc(13);
  bytes.writeUInt32BE(second, 0);
  bytes.write(process, 4, 'hex');
  bytes.writeUIntBE(count, 9, 3);
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return Array.from({ length: 20 }, (_, index) => Number.parseInt(bits.slice(index * 5, index * 5 + 5), 2).toString(32)).join('');
}
const replay = (id: string, last: string | undefined, boots: [string, string] = ['boot', 'boot']) =>
  isReplay({ id, boot: boots[0] }, last === undefined ? undefined : { id: last, boot: boots[1] });

test('an id of the seed is an xid', () => {
  const seed = 'c857jkm1jjcc7393cbs0';
  expect(replay('c857jkm1jjcc7393cbrg', seed)).toBe(true);
  expect(replay('c857jkm1jjcc7393cbt0', seed)).toBe(false);
});

test.each<[what: string, id: string, last: string | undefined, boots: [string, string], isReplay: boolean]>([
  ['the first one', xid(100, 5), undefined, ['a', 'a'], false],
  ['the same again', xid(100, 5), xid(100, 5), ['a', 'a'], true],
  ['one before', xid(100, 4), xid(100, 5), ['a', 'a'], true],
  ['one of a second before', xid(90, 3), xid(100, 5), ['a', 'a'], true],
  ['the next', xid(100, 6), xid(100, 5), ['a', 'a'], false],
  ['a later one', xid(101, 600), xid(100, 5), ['a', 'a'], false],
  ['the next, when counts begin again', xid(100, 0), xid(100, 2 ** 24 - 1), ['a', 'a'], false],
  ['one before, when counts have begun again', xid(100, 2 ** 24 - 1), xid(100, 0), ['a', 'a'], true],
  ['the next, after the clock of the machine went back', xid(50, 6), xid(100, 5), ['a', 'a'], false],
  ['one of the boot after, with a clock that begins in 1970', xid(10, 3), xid(100, 5), ['b', 'a'], false],
  ['the same id in another boot', 'id1', 'id1', ['b', 'a'], false],
  ['one of another process', xid(90, 3, 'aabbcc0002'), xid(100, 5), ['a', 'a'], false],
  ['ids of another form, the same', 'id1', 'id1', ['a', 'a'], true],
  ['ids of another form', 'id1', 'id2', ['a', 'a'], false],
])('%s', (...[, id, last, boots, wanted]) => {
  expect(replay(id, last, boots)).toBe(wanted);
});
