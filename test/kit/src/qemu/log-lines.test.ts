import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LogLines } from './log-lines.ts';

const soon = { timeoutMs: 5000 };

describe('LogLines', () => {
  test('a line that came before is found', async () => {
    const log = new LogLines('console');
    log.push('one\ntwo 2\nthree\n');
    expect((await log.line(/two (\d)/, soon))[1]).toBe('2');
  });

  test('a line that comes later is waited for, whatever the pieces it comes in', async () => {
    const log = new LogLines('console');
    const found = log.line(/^ready$/, soon);
    for (const piece of ['rea', 'dy', '\r', '\n']) log.push(piece);
    expect((await found)[0]).toBe('ready');
  });

  test('colours and cursor moves of firmware are taken out', () => {
    const log = new LogLines('console');
    log.push('\x1b[0;1miPXE 1.0\x1b[0m -- \x1b[2J\x1b[01;01Hhttp\r\n');
    expect(log.lines).toEqual(['iPXE 1.0 -- http']);
  });

  test('when the time is over the error shows the last lines', async () => {
    const log = new LogLines('machine a');
    log.push('No boot device\n');
    await expect(log.line(/agent/, { timeoutMs: 1 })).rejects.toMatchObject({
      code: 'SIDERO_QEMU_LINE_MISSING',
      message: expect.stringContaining('No boot device'),
    });
  });

  test('when the program ends those who wait are told at once', async () => {
    const log = new LogLines('machine a');
    const waiting = log.line(/agent/, soon);
    log.end('it ended with code 1');
    await expect(waiting).rejects.toThrow('it ended with code 1');
    await expect(log.line(/agent/, soon)).rejects.toThrow('it ended with code 1');
  });

  test('an abort ends the waiting with its reason', async () => {
    const log = new LogLines('machine a');
    await expect(log.line(/agent/, { ...soon, signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });

  test('cutting the text into other pieces gives the same lines', () => {
    const text = fc.array(fc.constantFrom('a', 'b', '\n', '\r\n', '\x1b[1m', ' '), { maxLength: 40 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, fc.array(fc.nat(200)), (whole, cuts) => {
        const pieces = new LogLines('pieces');
        const at = [0, ...cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
        for (const [index, from] of at.entries()) pieces.push(whole.slice(from, at[index + 1]));
        const once = new LogLines('once');
        once.push(whole);
        pieces.end('over');
        once.end('over');
        expect(pieces.lines).toEqual(once.lines);
      }),
    );
  });
});
