import type { DiskOutcome } from '@sidero/core';
import type { DiskResult } from './agent_pb.ts';
import type { Border } from './border.ts';

/** More than any machine has, and still an object that the API takes. */
const DISK_LIMIT = 1024;
const PROBLEM_LIMIT = 300;
const STATES = new Set(['pending', 'running', 'done', 'kept', 'failed']);

/** What a machine tells of the disks of a wipe. Empty texts are left out. @throws SIDERO_AGENT_REQUEST_INVALID */
export function diskOutcomesOf(disks: readonly DiskResult[], check: Border): readonly DiskOutcome[] {
  return check.list('disks', disks, DISK_LIMIT).map((disk) => diskOutcomeOf(disk, check));
}

function diskOutcomeOf(disk: DiskResult, check: Border): DiskOutcome {
  if (!STATES.has(disk.state)) throw check.invalid('disks.state', `is "${disk.state.slice(0, 32)}", which is none of ${[...STATES].join(', ')}`);
  const texts = {
    deviceName: check.required('disks.device_name', disk.deviceName),
    serial: check.text('disks.serial', disk.serial),
    wwn: check.text('disks.wwn', disk.wwn),
    method: check.text('disks.method', disk.method, 64),
    reason: check.text('disks.reason', disk.reason),
    problem: check.text('disks.problem', disk.problem.slice(0, PROBLEM_LIMIT)),
  };
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== '')),
    state: disk.state,
    sizeBytes: check.bytes('disks.size_bytes', disk.sizeBytes),
    doneBytes: check.bytes('disks.done_bytes', disk.doneBytes),
    seconds: check.whole('disks.seconds', disk.seconds),
    samples: check.whole('disks.samples', disk.samples),
  };
}
