import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identifyController } from './nvme-commands.ts';
import { openLinuxDisk } from './linux-block-device.ts';
import { METHODS } from './methods.ts';

const MIB = 1024 * 1024;
const losetup = (...args: string[]) => spawnSync('losetup', args, { encoding: 'utf8' });
const canLoop = process.platform === 'linux' && process.getuid?.() === 0 && losetup('--find').status === 0;

describe.skipIf(!canLoop)('a real block device', () => {
  let folder: string;
  let file: string;
  let path: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sidero-disk-'));
    file = join(folder, 'disk');
    writeFileSync(file, randomBytes(8 * MIB));
    path = losetup('--find', '--show', file).stdout.trim();
  });
  afterAll(() => {
    losetup('--detach', path);
    rmSync(folder, { recursive: true, force: true });
  });

  test('tells its size, is read past the cache, and is zeroed exactly where it is told', async () => {
    const before = readFileSync(file);
    {
      await using disk = await openLinuxDisk(path);
      expect([disk.sizeBytes, disk.sectorBytes]).toEqual([8 * MIB, 512]);
      expect(Buffer.compare(await disk.read(4096, 8192), before.subarray(4096, 12_288))).toBe(0);
      await disk.writeZeros(7 * MIB, MIB);
      await disk.zeroOut(2 * MIB, MIB);
      await disk.flush();
    }
    const expected = Buffer.from(before);
    expected.fill(0, 7 * MIB, 8 * MIB);
    expected.fill(0, 2 * MIB, 3 * MIB);
    expect(Buffer.compare(readFileSync(file), expected)).toBe(0);
  });

  test.each(['insecure', 'zero', 'discard'] as const)('is wiped by the method %s, to the byte', async (method) => {
    const before = randomBytes(8 * MIB);
    writeFileSync(file, before);
    {
      await using device = await openLinuxDisk(path);
      const { signal } = new AbortController();
      const given = { device, signal, partitions: [], keptBeside: [], nsid: undefined, seed: 1, now: () => 0, pause: async () => undefined };
      expect((await METHODS[method]({ ...given, onDone: () => undefined })).samples).toBeGreaterThan(50);
    }
    // The loop device turns a discard into a hole.
    expect(Buffer.compare(readFileSync(file), Buffer.alloc(8 * MIB))).toBe(0);
  });

  test('is given to one only', async () => {
    await using _disk = await openLinuxDisk(path);
    await expect(openLinuxDisk(path)).rejects.toMatchObject({ code: 'EBUSY', message: 'cannot be opened: it is in use (EBUSY)' });
  });

  test('refuses what it is not, with the word of the kernel', async () => {
    await using disk = await openLinuxDisk(path);
    await expect(disk.nvmeAdmin(identifyController)).rejects.toMatchObject({ code: expect.stringMatching(/ENOTTY|EINVAL/) });
    await expect(disk.ata({ command: 0xec, receives: true })).rejects.toMatchObject({ code: expect.stringMatching(/ENOTTY|EINVAL/) });
    await expect(disk.zeroOut(9 * MIB, MIB)).rejects.toMatchObject({ code: 'EINVAL' });
  });

  test('one that does not exist is an error in words', async () => {
    await expect(openLinuxDisk('/dev/sidero-none')).rejects.toThrow('cannot be opened: there is no such device (ENOENT)');
  });

  test('a slow request holds up nobody', async () => {
    await using disk = await openLinuxDisk(path);
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    for (let round = 0; round < 20; round++) await disk.zeroOut(0, 8 * MIB);
    clearInterval(ticking);
    expect(turns).toBeGreaterThan(0);
  });
});
