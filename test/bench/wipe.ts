import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { seededRandom } from '@sidero/testing';
import { type BlockDevice, DiskError } from '../../plugins/agent/machine/wipe/block-device.ts';
import { openLinuxDisk } from '../../plugins/agent/machine/wipe/linux-block-device.ts';
import { METHODS } from '../../plugins/agent/machine/wipe/methods.ts';
import type { Measurement } from './measure.ts';

const MIB = 1024 * 1024;
const SIZE_MIB = 512;
const ROUNDS = 5;
const run = promisify(execFile);

/** A disk in memory (a loop device) wiped by our methods, beside dd and blkdiscard. Nothing without root and loop devices. */
export async function measureWipe(): Promise<readonly Measurement[]> {
  const folder = await mkdtemp('/dev/shm/sidero-bench-').catch(() => undefined);
  if (!folder) return [];
  const file = join(folder, 'disk');
  let device: string | undefined;
  try {
    await writeFile(file, Buffer.alloc(SIZE_MIB * MIB, seededRandom('wipe').bytes(MIB)));
    device = await attached(file);
    return device ? await measured(device) : [];
  } finally {
    if (device) await run('losetup', ['--detach', device]);
    await rm(folder, { recursive: true, force: true });
  }
}

async function attached(file: string): Promise<string | undefined> {
  try {
    return (await run('losetup', ['--find', '--show', '--direct-io=on', file])).stdout.trim();
  } catch {
    return undefined;
  }
}

async function measured(device: string): Promise<readonly Measurement[]> {
  const dd = () => run('dd', ['if=/dev/zero', `of=${device}`, 'bs=1M', 'oflag=direct', 'conv=fsync', `count=${SIZE_MIB}`]);
  const discards = () => run('blkdiscard', [device]);
  const fill = () => run('dd', ['if=/dev/urandom', `of=${device}`, 'bs=1M', 'count=64', 'conv=fsync']);
  const note = `${SIZE_MIB} MiB loop device in memory; ours reads 64 places back`;
  return [
    await beside({ what: 'wipe, zero', ours: () => wiped(device, 'zero'), peer: dd, name: 'dd oflag=direct', note }, fill),
    await beside({ what: 'wipe, zeros written one by one', ours: () => wiped(device, 'written'), peer: dd, name: 'dd oflag=direct', note }, fill),
    await beside({ what: 'wipe, discard', ours: () => wiped(device, 'discard'), peer: discards, name: 'blkdiscard', note }, fill),
  ];
}

type Pair = {
  readonly what: string;
  readonly ours: () => Promise<unknown>;
  readonly peer: () => Promise<unknown>;
  readonly name: string;
  readonly note: string;
};

/** In turns, so that both have the same minute; the median of each. */
async function beside({ what, ours, peer, name, note }: Pair, before: () => Promise<unknown>): Promise<Measurement> {
  const seconds: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
  for (let round = 0; round < ROUNDS; round++) {
    await before();
    seconds.ours.push(await timed(ours));
    await before();
    seconds.peer.push(await timed(peer));
  }
  const rate = (all: number[]) => (SIZE_MIB * MIB) / 1e6 / all.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)]!;
  return { what, ours: rate(seconds.ours), unit: 'MB/s', digits: 0, peer: { name, value: rate(seconds.peer) }, note };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

/** Opens the disk and wipes it; `written` takes the kernel's help away. */
async function wiped(path: string, how: 'zero' | 'written' | 'discard'): Promise<void> {
  await using disk = await openLinuxDisk(path);
  const device = how === 'written' ? withoutHelp(disk) : disk;
  const { signal } = new AbortController();
  const nothing = { partitions: [], keptBeside: [], nsid: undefined, seed: 1, onDone: () => undefined, pause: async () => undefined, now: () => 0 };
  await METHODS[how === 'discard' ? 'discard' : 'zero']({ device, signal, ...nothing });
  await disk.flush();
}

function withoutHelp(disk: BlockDevice): BlockDevice {
  const zeroOut = () => Promise.reject(new DiskError('EOPNOTSUPP', 'not in this measurement'));
  return new Proxy(disk, {
    get(target, name) {
      if (name === 'zeroOut') return zeroOut;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
