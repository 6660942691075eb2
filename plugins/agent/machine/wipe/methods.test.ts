import type { WipeMethod } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import { DiskError, type NvmeCommand } from './block-device.ts';
import { aDisk, type DiskFixture, opened } from './disk.fixture.ts';
import { METHODS, type Work } from './methods.ts';

const MIB = 1024 * 1024;

function wiped(method: WipeMethod, disk: DiskFixture, more: Partial<Work> = {}) {
  const done: number[] = [];
  const work: Work = {
    device: opened(disk),
    partitions: [],
    keptBeside: [],
    nsid: undefined,
    seed: 7,
    onDone: (bytes) => void done.push(bytes),
    pause: async () => undefined,
    now: () => 0,
    signal: new AbortController().signal,
    ...more,
  };
  return { done, result: METHODS[method](work) };
}

const isZero = (disk: DiskFixture, from = 0, to = disk.bytes.length) => disk.bytes.subarray(from, to).equals(Buffer.alloc(to - from));

describe('insecure', () => {
  test('discards the whole disk and makes both ends zeros', async () => {
    const disk = aDisk(8 * MIB, { discardedAs: undefined });
    const { result, done } = wiped('insecure', disk);
    expect((await result).samples).toBeGreaterThan(4);
    expect(done.at(-1)).toBe(8 * MIB);
    expect(isZero(disk, 0, MIB) && isZero(disk, 7 * MIB)).toBe(true);
    expect(isZero(disk, MIB, 7 * MIB)).toBe(false);
  });

  test('does without a discard, and tells only the bytes that it wrote', async () => {
    const disk = aDisk(8 * MIB, { canDiscard: false });
    const { result, done } = wiped('insecure', disk);
    await result;
    expect(done).toEqual([2 * MIB]);
  });

  test('makes both ends of every partition zeros, within the disk', async () => {
    const disk = aDisk(16 * MIB, { canDiscard: false });
    await wiped('insecure', disk, {
      partitions: [
        { start: 4 * MIB, length: 4 * MIB },
        { start: 12 * MIB, length: 64 * MIB },
      ],
    }).result;
    expect([4, 7, 12].every((at) => isZero(disk, at * MIB, (at + 1) * MIB))).toBe(true);
    expect([5, 6, 8, 9, 13].some((at) => isZero(disk, at * MIB, (at + 1) * MIB))).toBe(false);
  });

  test.each([512, MIB, 2 * MIB - 512])('a disk of %i bytes is zeros as a whole', async (size) => {
    const disk = aDisk(size, { canDiscard: false });
    await wiped('insecure', disk).result;
    expect(isZero(disk)).toBe(true);
  });
});

describe('zero', () => {
  test.each([true, false])('makes every byte zero, whether the kernel helps or not (%s)', async (canZeroOut) => {
    const disk = aDisk(130 * MIB + 512, { canZeroOut });
    const { result, done } = wiped('zero', disk);
    expect((await result).samples).toBeGreaterThan(40);
    expect(isZero(disk)).toBe(true);
    expect(done).toEqual([64 * MIB, 128 * MIB, 130 * MIB + 512]);
  });

  test('an error of the disk is a failure, not a reason for another way', async () => {
    await expect(wiped('zero', aDisk(4 * MIB, { failsAt: 2 * MIB })).result).rejects.toThrow('EIO');
  });

  test('a disk that takes zeros and keeps its data is found out', async () => {
    await expect(wiped('zero', aDisk(4 * MIB, { isLying: true })).result).rejects.toThrow('data can be read at byte 0');
  });

  test('stops between two requests when it is told to', async () => {
    const stop = new AbortController();
    const disk = aDisk(256 * MIB, { onWrite: () => stop.abort(new Error('enough')) });
    await expect(wiped('zero', disk, { signal: stop.signal }).result).rejects.toThrow('enough');
    expect(disk.asked).toEqual(['zeroOut']);
  });
});

describe('discard', () => {
  test('is believed only when zeros are read back', async () => {
    const disk = aDisk(4 * MIB);
    expect((await wiped('discard', disk).result).instead).toBeUndefined();
    expect(disk.asked).toEqual(['discard']);
  });

  test.each([
    ['refuses it', { canDiscard: false }, 'cannot discard'],
    ['shows its data after it', { discardedAs: undefined }, 'data could still be read at byte 0'],
  ])('a disk that %s is zeroed instead, and that is told', async (...[, ability, words]) => {
    const disk = aDisk(4 * MIB, ability);
    expect((await wiped('discard', disk).result).instead).toMatchObject({ method: 'zero', reason: expect.stringContaining(words) });
    expect(isZero(disk)).toBe(true);
  });
});

/** A controller with these abilities; a sanitize is done at the third look. */
function aController(disk: DiskFixture, given: { sanicap?: number; oacs?: number; fna?: number; logs?: number[]; erases?: boolean }) {
  const seen: NvmeCommand[] = [];
  const logs = [...(given.logs ?? [0, 0x2_8000, 0x2_c000, 0x1_ffff])];
  disk.nvme = (command) => {
    seen.push(command);
    const reply = Buffer.alloc(4096);
    if (command.opcode === 0x06 && command.cdw10 === 1) {
      reply.writeUInt16LE(given.oacs ?? 0, 256);
      reply.writeUInt32LE(given.sanicap ?? 0, 328);
      reply.writeUInt8(given.fna ?? 0, 524);
    }
    if (command.opcode === 0x06 && command.cdw10 === 0) reply.writeUInt8(0x12, 26);
    if (command.opcode === 0x02) reply.writeUInt32LE(logs.shift()!, 0);
    if ([0x80, 0x84].includes(command.opcode) && given.erases !== false) disk.bytes.fill(0xff);
    return Uint8Array.from(reply);
  };
  return seen;
}

describe('nvme-sanitize', () => {
  test('takes the best way the controller has, tells how far it is, and proves it', async () => {
    const disk = aDisk(4 * MIB);
    const seen = aController(disk, { sanicap: 0b011 });
    const { result, done } = wiped('nvme-sanitize', disk, { nsid: 1 });
    expect((await result).samples).toBeGreaterThan(50);
    expect(seen.map(({ opcode, cdw10 }) => [opcode, (cdw10 ?? 0) & 0xffff]).slice(1)).toEqual([
      [0x02, 0x81],
      [0x84, 2],
      [0x02, 0x81],
      [0x02, 0x81],
      [0x02, 0x81],
    ]);
    expect(done).toEqual([2 * MIB, 3 * MIB, 4 * MIB]);
    expect(isZero(disk, 0, MIB)).toBe(true);
  });

  test('waits for one that a power cut has interrupted before it begins its own', async () => {
    const disk = aDisk(4 * MIB);
    const seen = aController(disk, { sanicap: 2, logs: [0x2_4000, 0x1_ffff, 0x1_ffff] });
    await wiped('nvme-sanitize', disk, { nsid: 1 }).result;
    expect(seen.map(({ opcode }) => opcode)).toEqual([0x06, 0x02, 0x02, 0x84, 0x02]);
  });

  test.each([
    ['is no NVMe disk', { sanicap: 2 }, {}, 'no NVMe disk'],
    ['has a controller that cannot', { sanicap: 0 }, { nsid: 1 }, 'cannot sanitize'],
    ['shares its controller with a disk to be kept', { sanicap: 2 }, { nsid: 1, keptBeside: ['/dev/nvme0n2'] }, 'also erase /dev/nvme0n2'],
    ['fails at it', { sanicap: 2, logs: [0, 0x3_0000] }, { nsid: 1 }, 'the sanitize (block erase) failed'],
    ['says it is done and is not', { sanicap: 2, erases: false }, { nsid: 1 }, 'the old data is still there'],
  ])('a disk that %s fails, and is not wiped another way', async (...[, controller, work, words]) => {
    const disk = aDisk(4 * MIB);
    aController(disk, controller);
    await expect(wiped('nvme-sanitize', disk, work).result).rejects.toThrow(words);
    expect(disk.asked).toEqual([]);
  });
});

describe('nvme-format', () => {
  test('formats the namespace in the format it has, erasing user data', async () => {
    const disk = aDisk(4 * MIB);
    const seen = aController(disk, { oacs: 2 });
    await wiped('nvme-format', disk, { nsid: 3 }).result;
    expect(seen.at(-1)).toMatchObject({ opcode: 0x80, nsid: 3, cdw10: (1 << 9) | (1 << 4) | 2 });
  });

  test('by its key where the controller can', async () => {
    const disk = aDisk(4 * MIB);
    const seen = aController(disk, { oacs: 2, fna: 4 });
    await wiped('nvme-format', disk, { nsid: 1 }).result;
    expect((seen.at(-1)!.cdw10! >> 9) & 7).toBe(2);
  });

  test('is refused where it would format a namespace to be kept', async () => {
    const disk = aDisk(4 * MIB);
    const seen = aController(disk, { oacs: 2, fna: 1 });
    await expect(wiped('nvme-format', disk, { nsid: 1, keptBeside: ['/dev/nvme0n2'] }).result).rejects.toThrow('/dev/nvme0n2');
    expect(seen.some(({ opcode }) => opcode === 0x80)).toBe(false);
  });
});

/** A disk with ATA security: word 128 as given; the erase fails when told so. */
function anAtaDisk(given: { word128: number; fails?: number[]; isLockedAfter?: boolean; isStrange?: boolean }) {
  const seen: number[] = [];
  let word128 = given.word128;
  const disk = aDisk(4 * MIB);
  disk.ata = ({ command }) => {
    seen.push(command);
    if (given.fails?.includes(command) || (given.isStrange && [0xf2, 0xf6].includes(command))) {
      if (given.isLockedAfter) word128 |= 4;
      throw new DiskError('STATUS', 'the disk aborted the command');
    }
    if (command === 0xf1) word128 |= 2;
    if (command === 0xf2) word128 &= ~4;
    if (command === 0xf4) disk.bytes.fill(0);
    if (command === 0xf4 || command === 0xf6) word128 &= ~2;
    const identify = Buffer.alloc(512);
    identify.writeUInt16LE(2, 82 * 2);
    identify.writeUInt16LE(1, 89 * 2);
    identify.writeUInt16LE(word128, 128 * 2);
    return Uint8Array.from(identify);
  };
  return { disk, seen };
}

describe('ata-secure-erase', () => {
  test('sets a password, prepares, erases, and looks whether the password is gone', async () => {
    const { disk, seen } = anAtaDisk({ word128: 0b1 });
    expect((await wiped('ata-secure-erase', disk).result).samples).toBeGreaterThan(50);
    expect(seen).toEqual([0xec, 0xf1, 0xf3, 0xf4, 0xec]);
  });

  test.each([
    ['frozen', 0b1001, 'has frozen', [0xec]],
    ['frozen and protected', 0b1011, 'has a password that is not ours', [0xec]],
    ['locked', 0b0111, 'locked by a password that is not ours', [0xec, 0xec, 0xf2, 0xec]],
    ['protected by a password', 0b0011, 'has a password that is not ours', [0xec, 0xec, 0xf6, 0xec]],
    ['without the commands', 0b0000, 'knows no ATA security', [0xec]],
  ])('a disk that is %s fails before it is changed', async (...[, word128, words, commands]) => {
    const { disk, seen } = anAtaDisk({ word128, isStrange: true });
    await expect(wiped('ata-secure-erase', disk).result).rejects.toThrow(words);
    expect(seen).toEqual(commands);
  });

  test('a disk that an erase of ours left locked, when the power was cut, is unlocked and erased', async () => {
    const { disk, seen } = anAtaDisk({ word128: 0b0111 });
    await wiped('ata-secure-erase', disk).result;
    expect(seen).toEqual([0xec, 0xec, 0xf2, 0xf6, 0xec, 0xf1, 0xf3, 0xf4, 0xec]);
  });

  test('after an erase that failed the disk has no password any more, also when it was locked by it', async () => {
    const { disk, seen } = anAtaDisk({ word128: 0b1, fails: [0xf4], isLockedAfter: true });
    await expect(wiped('ata-secure-erase', disk).result).rejects.toThrow('the disk aborted the command; its password was taken off again');
    expect(seen).toEqual([0xec, 0xf1, 0xf3, 0xf4, 0xec, 0xf2, 0xf6]);
  });

  test('a password that could not be taken off is told, and not shown', async () => {
    const { disk } = anAtaDisk({ word128: 0b1, fails: [0xf4, 0xf6] });
    await expect(wiped('ata-secure-erase', disk).result).rejects.toThrow(/^(?!.*sidero).*could not be taken off/);
  });
});
