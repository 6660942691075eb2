import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clauseOf } from './bmc-failures.ts';
import { Account, ActionInfo, Collection, ComputerSystem, errorTextOf, read, ServiceRoot, Task, taskTextOf } from './documents.ts';
import { retryAfterMs } from './exchange.ts';
import { problem } from './fake-service.fixture.ts';
import { isOnIn, resetTypeFor } from './reset.ts';
import { isSameUuid } from './system-choice.ts';

const shapes = { ServiceRoot, Collection, ComputerSystem, ActionInfo, Task, Account };
const members = [...new Set(Object.values(shapes).flatMap((shape) => Object.keys(shape.shape)))];
/** Objects that have our members with anything in them. */
const nearly = fc.dictionary(fc.constantFrom(...members), fc.jsonValue()).map((value) => JSON.stringify(value));

describe.each(Object.entries(shapes))('%s', (_, shape) => {
  test('is read from any text without a throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), nearly), (text) => {
        const document = read(shape, text);
        expect(document === undefined || typeof document === 'object').toBe(true);
      }),
    );
  });

  test.each(['', 'null', '[]', '"text"', '7', '{"a":', '<html>'])('is not read from %s', (text) => expect(read(shape, text)).toBeUndefined());
});

describe('a document', () => {
  test('may begin with a byte order mark', () => expect(read(Account, '\uFEFF{"UserName":"a"}')).toMatchObject({ UserName: 'a' }));

  test('loses what is of another type, and keeps the rest', () => {
    const text = JSON.stringify({ Members: [{ '@odata.id': '/a' }, null, { '@odata.id': 7 }, { '@odata.id': '/b' }] });
    expect(read(Collection, text)?.Members).toEqual([{ '@odata.id': '/a' }, { '@odata.id': '/b' }]);
    expect(read(ComputerSystem, '{"UUID":7,"PowerState":"On","Boot":[]}')).toMatchObject({ UUID: undefined, PowerState: 'On', Boot: undefined });
  });

  test('has no prototype of the wire', () => expect(read(Account, '{"__proto__":{"UserName":"a"}}')?.UserName).toBeUndefined());
});

describe('what an error says', () => {
  test.each([
    [JSON.stringify(problem('no power supply')), 'no power supply'],
    ['{"error":{"message":"it failed","code":"Base.1"}}', 'it failed'],
    ['{"error":{"code":"Base.1.0.General"}}', 'Base.1.0.General'],
    ['{"other":1}', '{"other":1}'],
    ['plain', 'plain'],
  ])('in %s is %s', (json, told) => expect(errorTextOf(json)).toBe(told));

  test('is a short line without secrets, whatever it was', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 5000 }), fc.string({ unit: 'grapheme', maxLength: 300 })), (text) => {
        const clause = clauseOf(`${text}s3cr3t${text}`, ['s3cr3t']);
        expect(clause.length).toBeLessThanOrEqual(121);
        expect(clause).not.toMatch(/s3cr3t|[\p{Cc}\u2028]/u);
      }),
    );
  });

  test('of a task is its first message', () => expect(taskTextOf({ Messages: [null, {}, { Message: 'a' }, { Message: 'b' }] } as never)).toBe('a'));
});

describe('Retry-After', () => {
  const now = Date.parse('2026-11-23T00:00:00Z');
  test.each<[string | undefined, number | undefined]>([
    ['5', 5000],
    ['Mon, 23 Nov 2026 00:00:07 GMT', 7000],
    ['Sun, 22 Nov 2026 00:00:00 GMT', 0],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s is %s ms', (text, ms) => expect(retryAfterMs({ header: () => text }, now)).toBe(ms));
});

test('a ResetType is one that the system takes, or none', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('on', 'off', 'soft', 'cycle'),
      fc.array(fc.constantFrom('On', 'ForceOn', 'ForceOff', 'PowerCycle', 'Nmi')),
      (verb, types) => {
        const type = resetTypeFor(verb, { types });
        expect([undefined, ...types]).toContain(type);
      },
    ),
  );
});

test('a power state that is not known is neither on nor off', () => {
  expect([undefined, '', 'on', 'Unknown'].map((PowerState) => isOnIn({ PowerState }))).toEqual([undefined, undefined, undefined, undefined]);
});

test.each<[string, string, boolean]>([
  ['4c4c4544-0039-3010-8047-c4c04f4e4d32', '4C4C4544-0039-3010-8047-C4C04F4E4D32', true],
  ['4c4c4544-0039-3010-8047-c4c04f4e4d32', '44454c4c-3900-1030-8047-c4c04f4e4d32', true],
  ['4c4c4544-0039-3010-8047-c4c04f4e4d32', '4c4c45440039301080 47c4c04f4e4d32', false],
  ['4c4c4544-0039-3010-8047-c4c04f4e4d32', '4c4c4544-0039-3010-8047-c4c04f4e4d33', false],
  ['00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', false],
  ['', '', false],
])('%s and %s are one UUID: %s', (ours, theirs, isSame) => expect(isSameUuid(ours, theirs)).toBe(isSame));
