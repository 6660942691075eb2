import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cpio, type Entry } from './cpio.ts';

const entries = new Map<string, Entry>([
  ['etc/deep/file', { kind: 'file', mode: 0o640, data: Buffer.from('odd length') }],
  ['bin/sh', { kind: 'link', target: '/bin/busybox' }],
  ['run', { kind: 'directory' }],
]);

test('the same entries give the same bytes, in whatever order they were added', () => {
  expect(cpio(new Map([...entries].reverse()))).toEqual(cpio(entries));
});

test('every record starts at a multiple of four bytes, and the trailer is last', () => {
  const bytes = Buffer.from(cpio(entries));
  expect(bytes.length % 4).toBe(0);
  for (let at = bytes.indexOf('070701'); at !== -1; at = bytes.indexOf('070701', at + 1)) expect(at % 4).toBe(0);
  expect(bytes.lastIndexOf('070701')).toBe(bytes.indexOf('TRAILER!!!') - 110);
});

const hasCpio = (() => {
  try {
    execFileSync('cpio', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!hasCpio)('cpio unpacks it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sidero-cpio-'));
  try {
    execFileSync('cpio', ['-idm', '--quiet', '--no-absolute-filenames'], { cwd: folder, input: cpio(entries) });
    expect(await readFile(join(folder, 'etc/deep/file'), 'utf8')).toBe('odd length');
    expect((await stat(join(folder, 'etc/deep/file'))).mode & 0o777).toBe(0o640);
    expect(await readlink(join(folder, 'bin/sh'))).toMatch(/bin\/busybox$/);
    expect((await stat(join(folder, 'run'))).isDirectory()).toBe(true);
  } finally {
    await rm(folder, { recursive: true });
  }
});
