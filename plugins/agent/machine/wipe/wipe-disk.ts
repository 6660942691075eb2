import type { WipeMethod } from '@sidero/core';
import type { Machine } from '../machine.ts';
import { isUnsupported } from './block-device.ts';
import { METHODS, type Wiped } from './methods.ts';
import { type DiskProgress, inUnits, type Progress } from './progress.ts';
import { obstacleOn, type Target } from './targets.ts';

/** What the disks of one wipe share. */
export interface DiskWipe {
  readonly machine: Machine;
  readonly progress: Progress;
  readonly targets: readonly Target[];
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** Wipes one disk and writes down how it went; a failure is a state of the disk, never a throw. */
export async function wipeDisk(wipe: DiskWipe, disk: DiskProgress): Promise<void> {
  const { machine, progress, signal } = wipe;
  const { target } = disk;
  progress.begin(disk);
  try {
    signal.throwIfAborted();
    const { samples, instead } = await wiped(wipe, disk);
    disk.samples = samples;
    disk.method = instead?.method ?? disk.method;
    disk.reason = [disk.reason, instead && `instead of ${target.method}: ${instead.reason}`].filter(Boolean).join('; ');
    progress.end(disk);
    const how = `by ${disk.method}, ${inUnits(disk.doneBytes)} of ${inUnits(target.sizeBytes)}, ${samples} places read back empty`;
    machine.say(`wiped ${target.deviceName} ${how}${disk.reason && ` (${disk.reason})`}`);
  } catch (thrown) {
    progress.end(disk, thrown instanceof Error ? thrown.message : String(thrown));
    machine.say(`failed wiping ${target.deviceName}: ${disk.problem}`, 'error');
  }
}

async function wiped(wipe: DiskWipe, disk: DiskProgress): Promise<Wiped> {
  const { machine, progress, signal, seed, targets } = wipe;
  const { target } = disk;
  const method = methodOf(target.method);
  const obstacle = obstacleOn(machine, target.name);
  if (obstacle) throw new Error(obstacle);
  await using device = await machine.openDisk(target.deviceName);
  if (device.sizeBytes !== target.sizeBytes) throw new Error(`it has ${device.sizeBytes} bytes, and had ${target.sizeBytes} a moment ago`);
  const done = await METHODS[method]({
    device,
    seed,
    signal,
    partitions: target.partitions,
    now: machine.now,
    pause: machine.pause,
    nsid: namespaceOf(machine, target.name),
    keptBeside: targets.filter((other) => other.method === 'keep' && sharesController(other.name, target.name)).map(({ deviceName }) => deviceName),
    onDone: (bytes) => progress.move(disk, bytes),
  });
  await device.flush();
  await device.rereadPartitions().catch((thrown: unknown) => {
    // A disk that cannot have partitions has none to forget.
    if (!isUnsupported(thrown)) throw thrown;
  });
  return done;
}

function methodOf(method: Target['method']): WipeMethod {
  // The plan came over the wire; an unknown method must not become a weaker one.
  if (method === 'keep' || !Object.hasOwn(METHODS, method)) throw new Error(`this agent does not know the method "${method}"`);
  return method;
}

function namespaceOf(machine: Machine, name: string): number | undefined {
  const nsid = /^nvme\d+n\d+$/.test(name) ? Number(machine.text(`/sys/block/${name}/nsid`)) : Number.NaN;
  return Number.isInteger(nsid) && nsid > 0 ? nsid : undefined;
}

function sharesController(one: string, other: string): boolean {
  const controller = (name: string) => /^(nvme\d+)n\d+$/.exec(name)?.[1];
  return controller(one) !== undefined && controller(one) === controller(other);
}
