import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RECORD_LIMIT, RecordSplitter, type Waste } from './record-splitter.ts';

function split(chunks: readonly (string | Buffer)[]): { records: string[]; wasted: Waste[]; splitter: RecordSplitter } {
  const records: string[] = [];
  const wasted: Waste[] = [];
  const record = (text: string): boolean => {
    try {
      const value = JSON.parse(text) as unknown;
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    } catch {
      return false;
    }
    records.push(text);
    return true;
  };
  const splitter = new RecordSplitter({ record, waste: (why) => wasted.push(why) });
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  splitter.end();
  return { records, wasted, splitter };
}

const ok = '{"msg":"ok"}';

test.each<[what: string, given: string, records: string[], wasted: Waste[]]>([
  ['one a line', `${ok}\n${ok}\r\n\n${ok}\n`, [ok, ok, `${ok}`], []],
  ['one after another, as in the vectors', '{"msg":"one"}{"msg":"two"}  {"msg":"three"}', ['{"msg":"one"}', '{"msg":"two"}', '{"msg":"three"}'], []],
  ['over several lines', '{\n "a": [\n  {"b": 1},\n  {"c": 2}\n ]\n}\n', ['{\n "a": [\n  {"b": 1},\n  {"c": 2}\n ]\n}'], []],
  ['braces in texts', '{"a":"}{\\"]["}', ['{"a":"}{\\"]["}'], []],
  ['a list, then a record', `[1,2]${ok}`, [ok], ['syntax']],
  ['a list of objects is not read as those', `[{"a":1},{"b":2}]\n${ok}`, [ok], ['syntax']],
  ['null, then a record', `null\n${ok}\n`, [ok], ['syntax']],
  ['a line that is no JSON', `kernel panic\n${ok}\n`, [ok], ['syntax']],
  ['a brace that closes nothing', `}\n${ok}\n`, [ok], ['syntax']],
  ['a record cut in a text', `{"msg":"cut\n${ok}\n`, [ok], ['syntax']],
  ['a record cut between members', `{"msg":"cut",\n${ok}\n`, [ok], ['syntax']],
  ['a record cut after a name', `{"msg"\n${ok}\n`, [ok], ['syntax']],
  ['brackets that do not fit', `{"a":[1}}\n${ok}\n`, [ok], ['syntax']],
  ['members that are none', `{a:1}\n${ok}\n`, [ok], ['syntax']],
  ['the end in the middle', `${ok}\n{"msg":"cu`, [ok], ['cut']],
  ['nothing', '', [], []],
  ['white space', ' \n\t\r\n', [], []],
])('%s', (...[, given, records, wasted]) => {
  const whole = split([given]);
  expect([whole.records.map((text) => text.trim()), whole.wasted]).toEqual([records, wasted]);
  const bytes = split(Array.from(Buffer.from(given), (byte) => Buffer.from([byte])));
  expect([bytes.records.map((text) => text.trim()), bytes.wasted]).toEqual([records, wasted]);
});

test('a record that is too long is passed over up to the end of its line, and no more than the limit is held', () => {
  const long = Buffer.alloc(10_000_000, 'x');
  const { records, wasted } = split([`{"msg":"`, ...chunksOf(long), `"}\n${ok}\n`]);
  expect([records, wasted]).toEqual([[ok], ['oversize']]);
});

test('a line that never ends is counted once, and nothing of it held', () => {
  const splitter = new RecordSplitter({ record: () => true, waste: () => undefined });
  for (const chunk of chunksOf(Buffer.alloc(5_000_000, '{"a":'))) {
    splitter.push(chunk);
    expect(splitter.isAmid && process.memoryUsage().arrayBuffers > 500_000_000).toBe(false);
  }
});

test('the longest record is read, one byte more is not', () => {
  const of = (length: number) => `{"msg":"${'x'.repeat(length - '{"msg":""}'.length)}"}`;
  for (const end of ['', '\n']) {
    expect(split([of(RECORD_LIMIT) + end]).records).toHaveLength(1);
    const { records, wasted } = split([`${of(RECORD_LIMIT + 1)}${end}`, `\n${ok}`]);
    expect([records, wasted]).toEqual([[ok], ['oversize']]);
  }
});

test('characters cut between chunks are put together', () => {
  const record = Buffer.from('{"msg":"äß😀"}');
  for (let at = 1; at < record.length; at++) expect(split([record.subarray(0, at), record.subarray(at)]).records).toEqual([record.toString()]);
});

test('whatever comes in whatever pieces, records between lines of rubbish come through in their order', () => {
  const rubbish = fc.string({ unit: 'binary' }).map((text) => text.replaceAll(/[{[\n]/g, ''));
  const line = fc.oneof(
    fc.object().map((value) => JSON.stringify(value)),
    rubbish,
  );
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(200)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const at = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].toSorted((a, b) => a - b);
      const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
      expect(split(chunks).records).toEqual(lines.filter((text) => text.startsWith('{')));
    }),
  );
});

function chunksOf(bytes: Buffer, size = 65_536): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
}
