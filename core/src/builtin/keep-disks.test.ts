import { aServer, aServerClass, testSidero, type TestSideroOptions } from '@sidero/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KEEP_DISKS_ANNOTATION, parseKeepDisks } from './keep-disks.ts';

const [first] = aServer().spec!.hardware!.storage!.devices!;
const serial = first!.serialNumber!;
const status = { isClean: false, inUse: false };
const annotated = (value: string) => ({ metadata: { annotations: { [KEEP_DISKS_ANNOTATION]: value } } });

async function planOf(given: TestSideroOptions): Promise<unknown> {
  await using sidero = await testSidero(given);
  return await sidero.lifecycle.wipe(aServer());
}

describe('keep-disks', () => {
  test('a disk that the Server names is kept, the others are wiped as planned', async () => {
    const server = aServer({ ...annotated(`serial: ${serial}`), status });
    expect(await planOf({ objects: [server] })).toEqual({
      method: 'insecure',
      disks: [{ serial, method: 'keep', reason: `annotation ${KEEP_DISKS_ANNOTATION} of the Server` }],
    });
  });

  test('a class names disks for all Servers it holds, whether they have them or not, and for no other', async () => {
    const holding = aServerClass({ metadata: { name: 'data', ...annotated('serial:A,wwn:naa.5').metadata } });
    const other = aServerClass({
      metadata: { name: 'other', ...annotated('serial:B').metadata },
      spec: { selector: { matchLabels: { rack: '9' } } },
    });
    expect(await planOf({ objects: [aServer({ status }), holding, other] })).toMatchObject({
      disks: [
        { serial: 'A', method: 'keep', reason: expect.stringContaining('ServerClass data') },
        { wwn: 'naa.5', method: 'keep' },
      ],
    });
  });

  test.each([
    ['an annotation that cannot be read', 'sdb', 'neither serial:'],
    ['an empty annotation', '', 'neither serial:'],
    ['a disk that the machine does not have', 'serial:NOPE', 'no such disk'],
  ])('%s holds the wipe, and says why', async (...[, value, words]) => {
    expect(await planOf({ objects: [aServer({ ...annotated(value), status })] })).toEqual({ hold: expect.stringContaining(words) });
  });

  test('a class with such an annotation that cannot be matched holds the wipe', async () => {
    const broken = aServerClass({
      metadata: { name: 'broken', ...annotated('serial:A').metadata },
      spec: { selector: { matchExpressions: [{ key: 'a', operator: 'In', values: [] }] } },
    });
    expect(await planOf({ objects: [aServer({ status }), broken] })).toEqual({ hold: expect.stringContaining('keep-disks') });
  });

  test('any text is either rules with a name each, or a hold', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = parseKeepDisks(text, 'x');
        if (!('hold' in read)) expect(read.every((rule) => (rule.serial ?? rule.wwn ?? '').trim() !== '')).toBe(true);
      }),
    );
  });
});
