import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DiskResultSchema } from '@sidero/plugin-agent/protocol';
import type { Machine } from '../machine.ts';
import type { Target } from './targets.ts';

/** Of one disk, as it changes. */
export interface DiskProgress {
  readonly target: Target;
  state: 'pending' | 'running' | 'done' | 'kept' | 'failed';
  /** What really was done to it, where that is not what was ordered. */
  method: string;
  reason: string;
  doneBytes: number;
  startedMs: number;
  endedMs: number | undefined;
  samples: number;
  problem: string;
}

/** How far each disk of a wipe is, and when anything last moved. */
export class Progress {
  readonly disks: readonly DiskProgress[];
  movedMs: number;
  readonly #now: Machine['now'];

  constructor(targets: readonly Target[], now: Machine['now']) {
    this.#now = now;
    this.movedMs = now();
    const blank = { doneBytes: 0, startedMs: 0, endedMs: undefined, samples: 0, problem: '' };
    this.disks = targets.map((target) => ({
      ...blank,
      target,
      method: target.method,
      reason: target.reason,
      state: target.method === 'keep' ? 'kept' : 'pending',
    }));
  }

  begin(disk: DiskProgress): void {
    disk.state = 'running';
    disk.startedMs = this.movedMs = this.#now();
  }

  /** `doneBytes` in all; the same again is no movement. */
  move(disk: DiskProgress, doneBytes: number): void {
    if (disk.doneBytes === doneBytes) return;
    disk.doneBytes = doneBytes;
    this.movedMs = this.#now();
  }

  end(disk: DiskProgress, problem = ''): void {
    disk.state = problem === '' ? 'done' : 'failed';
    disk.problem = problem;
    disk.endedMs = this.movedMs = this.#now();
  }

  /** All disks as the wire has them. */
  results(): MessageInitShape<typeof DiskResultSchema>[] {
    return this.disks.map(({ target, state, method, reason, doneBytes, samples, problem, ...times }) => ({
      deviceName: target.deviceName,
      serial: target.serial,
      wwn: target.wwn,
      sizeBytes: BigInt(target.sizeBytes),
      doneBytes: BigInt(doneBytes),
      seconds: this.#seconds(state, times),
      state,
      method,
      reason,
      samples,
      problem,
    }));
  }

  /** One line for the console. */
  line(): string {
    const wiped = this.disks.filter(({ state }) => state !== 'kept');
    const share = ({ state, doneBytes, target }: DiskProgress) => (state === 'done' ? target.sizeBytes : Math.min(doneBytes, target.sizeBytes));
    const total = sum(wiped.map(({ target }) => target.sizeBytes));
    const percent = total === 0 ? 100 : Math.floor((100 * sum(wiped.map(share))) / total);
    const running = wiped.filter(({ state }) => state === 'running').map((disk) => `${disk.target.name} ${inUnits(disk.doneBytes)}`);
    return `wiping: ${percent} % of ${inUnits(total)}${running.length > 0 ? `; ${running.join(', ')}` : ''}`;
  }

  #seconds(state: DiskProgress['state'], { startedMs, endedMs }: Pick<DiskProgress, 'startedMs' | 'endedMs'>): number {
    if (state === 'pending' || state === 'kept') return 0;
    return Math.max(0, Math.round(((endedMs ?? this.#now()) - startedMs) / 1000));
  }
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

/** `512 MiB`, `1.8 TiB`. */
export function inUnits(bytes: number): string {
  const step = bytes < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** step;
  return `${value < 10 && step > 0 ? value.toFixed(1).replace(/\.0$/, '') : Math.floor(value)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][step]}`;
}
