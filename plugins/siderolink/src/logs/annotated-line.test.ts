import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAnnotate } from './annotated-line.ts';

const annotatedLine = createAnnotate();

const names = {
  server_uuid: '6b121f82-24a8-4611-9d23-fa1a5ba564f0',
  cluster: 'mc',
  namespace: 'default',
  metal_machine: 'mm-1',
  machine: 'm-1',
};
const tail = '"metal_machine":"mm-1",';
const own = /,?"(?:server_uuid|cluster|namespace|metal_machine|machine)":"[^"]*"/g;
const bare = (text: string) => annotatedLine(text, {});

describe('the vectors of the original', () => {
  test('a record of somebody unknown stays as it is', () => {
    expect(bare('{"msg":"before"}')).toBe('{"msg":"before"}');
  });

  test('a record of Talos', () => {
    const record =
      '{"clock":8576583,"facility":"user","msg":"[talos] <a> & b\\n","priority":"warning","seq":665,"talos-level":"warn","talos-time":"2022-02-11T12:42:02.74807823Z"}';
    expect(annotatedLine(record, names)).toBe(
      String.raw`{"clock":8576583,"cluster":"mc","facility":"user","machine":"m-1","metal_machine":"mm-1","msg":"[talos] \u003ca\u003e \u0026 b\n","namespace":"default","priority":"warning","seq":665,"server_uuid":"6b121f82-24a8-4611-9d23-fa1a5ba564f0","talos-level":"warn","talos-time":"2022-02-11T12:42:02.74807823Z"}`,
    );
  });

  test('an integer of 64 bits stays exact, other than there, and a spoofed name is replaced', () => {
    const line = annotatedLine('{"msg":"big","seq":12345678901234567890,"server_uuid":"spoof"}', names);
    expect(line).toBe(
      `{"cluster":"mc","machine":"m-1",${tail}"msg":"big","namespace":"default","seq":12345678901234567890,"server_uuid":"${names.server_uuid}"}`,
    );
  });

  test('the last of two members of a name counts', () => {
    expect(annotatedLine('{"msg":"dup","msg":"dup2"}', names)?.replaceAll(own, '')).toBe('{,"msg":"dup2"}');
  });

  test.each(['[1,2]', 'null', '1', '"a"', '{', '{"a":1}}', '', '{"a":01}', '{"a":1e999}', '{"a":00001234567890123456}'])(
    '%s is no record',
    (text) => {
      expect(bare(text)).toBeUndefined();
    },
  );
});

test("the seed's line comes out as it went in", () => {
  const line =
    '{"clock":8576583,"cluster":"management-cluster","facility":"user","machine":"management-cluster-cp-ddgsw","metal_machine":"management-cluster-cp-vrff4","msg":"[talos] phase mountState (6/13): 1 tasks(s)\\n","namespace":"default","priority":"warning","seq":665,"server_uuid":"6b121f82-24a8-4611-9d23-fa1a5ba564f0","talos-level":"warn","talos-time":"2022-02-11T12:42:02.74807823Z"}';
  const { cluster, machine, metal_machine, namespace, server_uuid, ...record } = JSON.parse(line) as Record<string, string>;
  expect(
    annotatedLine(JSON.stringify(record), {
      cluster: cluster!,
      machine: machine!,
      metal_machine: metal_machine!,
      namespace: namespace!,
      server_uuid: server_uuid!,
    }),
  ).toBe(line);
});

test('nobody says of himself what only we may say', () => {
  const spoofed = '{"cluster":"x","machine":"x","metal_machine":"x","msg":"m","namespace":"x","server_uuid":"x"}';
  expect(bare(spoofed)).toBe('{"msg":"m"}');
  expect(annotatedLine(spoofed, { server_uuid: 'u' })).toBe('{"msg":"m","server_uuid":"u"}');
});

test.each([
  ['numbers', '{"a":1e21,"b":1e-7,"c":100,"d":1.50,"e":-0,"f":1E2}', '{"a":1e+21,"b":1e-7,"c":100,"d":1.5,"e":-0,"f":100}'],
  ['integers of 64 bits', '{"a":9007199254740993,"b":-9223372036854775808,"c":[18446744073709551615]}', undefined],
  ['longer integers, as floats', '{"a":18446744073709551616,"b":123456789012345678901234}', '{"a":18446744073709552000,"b":1.2345678901234569e+23}'],
  ['digits in texts', '{"a":"12345678901234567890","b":"x\\"12345678901234567890"}', undefined],
  ['floats of many digits', '{"a":1234567890123456789.5,"b":1234567890123456789e2}', '{"a":1234567890123456800,"b":123456789012345680000}'],
  ['line separators', '{"a":"\u2028\u2029"}', String.raw`{"a":"\u2028\u2029"}`],
  [
    'surrogates without their pair',
    String.raw`{"a":"\ud800","b":"\\ud800","c":"\udc00x","d":"\ud83d\ude00"}`,
    '{"a":"\ufffd","b":"\\\\ud800","c":"\ufffdx","d":"😀"}',
  ],
  ['nested objects, sorted too', '{"b":{"z":1,"a":[{"y":1,"x":2}]},"a":1}', '{"a":1,"b":{"a":[{"x":2,"y":1}],"z":1}}'],
  ['keys by their bytes', '{"\u{1f600}":1,"\uffff":2,"10":3,"9":4,"Z":5,"a":6}', '{"10":3,"9":4,"Z":5,"a":6,"\uffff":2,"\u{1f600}":1}'],
  ['a key that is special here', '{"__proto__":{"msg":"x"},"constructor":1}', undefined],
  ['white space', '{ "a" :\t1 ,\n"b": [ ] }', '{"a":1,"b":[]}'],
  ['values of every kind', '{"a":null,"b":true,"c":false,"d":""}', undefined],
])('%s', (_what, given, wanted) => {
  expect(bare(given)).toBe(wanted ?? given);
});

test('keys with a line break are not taken for two', () => {
  expect(bare('{"a":1,"b":2}')).toBe('{"a":1,"b":2}');
  expect(bare('{"a\\nb":1}')).toBe('{"a\\nb":1}');
});

test('nesting without end is no record', () => {
  expect(bare(`{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`)).toBeOneOf([undefined, expect.stringContaining('[[[')]);
});

test('whatever a record holds, its line holds the same', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (record) => {
      for (const key of ['server_uuid', 'namespace', 'cluster', 'metal_machine', 'machine']) delete record[key];
      const line = annotatedLine(JSON.stringify(record), names)!;
      expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify({ ...record, ...names })));
      expect(line).not.toMatch(/[<>&\n\u2028\u2029]/);
    }),
  );
});
