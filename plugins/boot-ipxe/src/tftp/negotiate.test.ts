import { describe, expect, test } from 'vitest';
import { cleanPath, negotiate, toNetascii } from './negotiate.ts';

const limits = { maxBlockSize: 1468, maxWindowSize: 64 };
const agree = (options: Record<string, string>, sizeBytes = 1200) => negotiate(new Map(Object.entries(options)), sizeBytes, limits);

describe('path of a request', () => {
  test.each([
    ['snp.efi', 'snp.efi'],
    ['/snp.efi', 'snp.efi'],
    ['../../etc/passwd', 'etc/passwd'],
    ['//a//b/../c', 'a/c'],
    ['a/../../b', 'b'],
    ['./undionly.kpxe', 'undionly.kpxe'],
    ['\\snp.efi', '\\snp.efi'],
    ['..', ''],
    ['', ''],
  ])('%j means %j', (path, name) => expect(cleanPath(path)).toBe(name));
});

describe('options of a request', () => {
  test.each([
    [{}, {}],
    [{ tsize: '0' }, { tsize: '1200' }],
    [
      { blksize: '1432', tsize: '0' },
      { blksize: '1432', tsize: '1200' },
    ],
    [{ blksize: '65464' }, { blksize: '1468' }],
    [{ blksize: '65465' }, {}],
    [{ blksize: '7' }, {}],
    [{ blksize: 'many' }, {}],
    [{ windowsize: '16' }, { windowsize: '16' }],
    [{ windowsize: '65535' }, { windowsize: '64' }],
    [{ windowsize: '0' }, {}],
    [
      { timeout: '3', blksize: '512' },
      { timeout: '3', blksize: '512' },
    ],
    [{ timeout: '256' }, {}],
    [{ multicast: '', utimeout: '9' }, {}],
  ])('%j is answered with %j', (asked, answer) => {
    expect(Object.fromEntries(agree(asked as Record<string, string>).answer)).toEqual(answer);
  });

  test('the size of an empty file is not told: curl takes 0 for a fault', () => {
    expect(agree({ tsize: '0' }, 0).answer.size).toBe(0);
  });

  test('a client without options gets 512 bytes, one block at a time', () => {
    expect(agree({})).toMatchObject({ blockSize: 512, windowSize: 1, timeoutMs: undefined });
  });

  test('the time-out a client asks for is in seconds', () => {
    expect(agree({ timeout: '3' }).timeoutMs).toBe(3000);
  });
});

test('netascii writes line ends as CR LF and a bare CR as CR NUL', () => {
  expect(Buffer.from(toNetascii(Buffer.from('a\nb\rc'))).toString('latin1')).toBe('a\r\nb\r\0c');
});
