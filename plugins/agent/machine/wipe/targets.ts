import { type DiskOrder, orderFor } from '@sidero/core/disk-rules';
import type { WipePlan } from '@sidero/core';
import { diskNames, diskFacts } from '../disks.ts';
import type { Machine } from '../machine.ts';

const SECTOR_BYTES = 512;

/** A disk of the machine, and what is to be done to it. */
export interface Target extends DiskOrder {
  /** `sda`. */
  readonly name: string;
  /** `/dev/sda`. */
  readonly deviceName: string;
  readonly serial: string;
  readonly wwn: string;
  readonly sizeBytes: number;
  /** The parts the kernel knows of, in bytes. */
  readonly partitions: readonly { readonly start: number; readonly length: number }[];
}

/** Every disk there is now, with the plan's order for it. */
export function targetsOf(machine: Machine, plan: WipePlan): readonly Target[] {
  return diskNames(machine)
    .map((name) => ({ name, facts: diskFacts(machine, name) }))
    .filter(({ facts }) => facts.size > 0n)
    .map(({ name, facts: { deviceName, serial, wwid, size } }) => ({
      ...orderFor(plan, { deviceName, serial, wwn: wwid }),
      name,
      deviceName,
      serial,
      wwn: wwid,
      sizeBytes: Number(size),
      partitions: partitionsOf(machine, name),
    }));
}

function partitionsOf(machine: Machine, name: string): Target['partitions'] {
  const number = (file: string) => Number(machine.text(`/sys/block/${name}/${file}`) ?? 0) * SECTOR_BYTES;
  return partitionNames(machine, name).map((part) => ({ start: number(`${part}/start`), length: number(`${part}/size`) }));
}

function partitionNames(machine: Machine, name: string): readonly string[] {
  return machine.list(`/sys/block/${name}`).filter((entry) => machine.text(`/sys/block/${name}/${entry}/partition`) !== undefined);
}

/**
 * Why a disk must not be written to now, as a clause; undefined when nothing speaks against it. Arrays that the kernel put together from it
 * are stopped first, unless somebody uses them.
 */
export function obstacleOn(machine: Machine, name: string): string | undefined {
  if (machine.text(`/sys/block/${name}/ro`) === '1') return 'it is read-only';
  const parts = [name, ...partitionNames(machine, name)];
  const user = parts.map((part) => userOf(machine, part)).find((found) => found !== undefined);
  if (user) return user;
  const folders = [`/sys/block/${name}/holders`, ...parts.slice(1).map((part) => `/sys/block/${name}/${part}/holders`)];
  const holders = [...new Set(folders.flatMap((folder) => machine.list(folder)))];
  const obstacles = holders.map((holder) => stopHolder(machine, holder));
  return obstacles.find((obstacle) => obstacle !== undefined);
}

function userOf(machine: Machine, part: string): string | undefined {
  const has = (file: string) =>
    (machine.text(file) ?? '').split('\n').find((line) => line.startsWith(`/dev/${part} `) || line.startsWith(`/dev/${part}\t`));
  const mounted = has('/proc/mounts');
  if (mounted) return `${part} is mounted on ${mounted.split(' ')[1]}`;
  return has('/proc/swaps') ? `${part} is swapped to` : undefined;
}

// Only what runs by itself is stopped: an array nobody mounted. A device mapper has reasons that cannot be seen from here.
function stopHolder(machine: Machine, holder: string): string | undefined {
  const user = userOf(machine, holder);
  if (user) return `it is part of ${holder}, and ${user}`;
  const above = machine.list(`/sys/block/${holder}/holders`);
  if (!holder.startsWith('md') || above.length > 0) return `it is part of ${[holder, ...above].join(', below ')}`;
  machine.write(`/sys/block/${holder}/md/array_state`, 'clear');
  const state = machine.text(`/sys/block/${holder}/md/array_state`);
  return state === undefined || state === 'clear' ? undefined : `it is part of the array ${holder}, which does not stop (${state})`;
}
