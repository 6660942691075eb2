import { create } from '@bufbuild/protobuf';
import { type AgentClient, type CallOptions, type CreateServerResponse, type DiskResult, DiskResultSchema } from '@sidero/plugin-agent';
import { setTimeout as delay } from 'node:timers/promises';
import type { SimulatedDisk } from './disk.ts';
import type { States } from './state.ts';

/** Every method an agent may know, as a plan names them. */
export const WIPE_METHODS = ['insecure', 'zero', 'discard', 'nvme-sanitize', 'nvme-format', 'ata-secure-erase'] as const;

/** One wipe of a machine. */
export interface WipeRun {
  readonly uuid: string;
  readonly client: AgentClient;
  readonly order: CreateServerResponse;
  readonly disks: readonly SimulatedDisk[];
  /** Whether the results are told disk by disk; the original's agent tells none. */
  readonly tellsDisks: boolean;
  /** How fast any method gets through a disk. */
  readonly bytesPerSecond: number;
  readonly timeFactor: number;
  readonly states: States;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  /** Repeats a call until it is through. */
  readonly persistently: <T>(call: string, attempt: (options: CallOptions) => Promise<T>) => Promise<T>;
  readonly signal: AbortSignal;
}

/** How a wipe ended; `why` it was given up. */
export type WipeOutcome = { readonly isClean: true } | { readonly isClean: false; readonly why: string };

interface Task {
  readonly disk: SimulatedDisk;
  readonly result: DiskResult;
}

/** Between two looks at a disk that is being wiped. */
const STEP_MS = 100;
const HEARTBEAT_MS = 20_000;
const SAMPLES = 16;

/**
 * Wipes as the agent does: asks once more before the first write, all disks at once, progress in heartbeats, which can stop it; then tells that
 * the machine is clean, or which disk is not.
 */
export async function wipe(run: WipeRun): Promise<WipeOutcome> {
  const tasks = run.disks.map((disk) => ({ disk, result: plannedResult(disk, run.order) }));
  const disks = () => (run.tellsDisks ? tasks.map(({ result }) => result) : []);
  run.states.enter('wiping');
  const beat = (options: CallOptions) => run.client.heartbeat({ uuid: run.uuid, disks: disks() }, options);
  const first = await run.persistently('Heartbeat', beat);
  if (first.stop) return { isClean: false, why: first.stopReason };

  const stopped = await wipeWithHeartbeats(run, { tasks, beat });
  if (stopped !== undefined) return { isClean: false, why: stopped };
  const problems = tasks.flatMap(({ result }) => (result.state === 'failed' ? [result.problem] : []));
  if (problems.length === 0) {
    await run.persistently('MarkServerAsWiped', (options) => run.client.markServerAsWiped({ uuid: run.uuid, disks: disks() }, options));
    return { isClean: true };
  }
  const why = problems.join('; ');
  await run.persistently('ReportFailure', (options) =>
    run.client.reportFailure({ uuid: run.uuid, stage: 'wipe', message: why, disks: disks() }, options),
  );
  return { isClean: false, why };
}

/** Undefined when every disk is through; else why the management plane stopped it. Heartbeats end with it. */
async function wipeWithHeartbeats(
  run: WipeRun,
  given: { readonly tasks: readonly Task[]; readonly beat: (options: CallOptions) => ReturnType<AgentClient['heartbeat']> },
): Promise<string | undefined> {
  const stop = new AbortController();
  const end = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const intervalMs = Math.max(STEP_MS, Math.min((run.order.rebootTimeout * 1000) / 3, HEARTBEAT_MS) * run.timeFactor);
  const heart = beats({ ...given, intervalMs, stop, signal: AbortSignal.any([signal, end.signal]) });
  try {
    await Promise.all(given.tasks.map((task) => wipeDisk(run, { task, tasks: given.tasks, signal })));
    return undefined;
  } catch (thrown) {
    run.signal.throwIfAborted();
    if (stop.signal.aborted) return String(stop.signal.reason);
    throw thrown;
  } finally {
    end.abort();
    await heart;
  }
}

interface Heart {
  readonly beat: (options: CallOptions) => ReturnType<AgentClient['heartbeat']>;
  readonly intervalMs: number;
  readonly stop: AbortController;
  readonly signal: AbortSignal;
}

async function beats({ beat, intervalMs, stop, signal }: Heart): Promise<void> {
  while (!signal.aborted) {
    try {
      await delay(intervalMs, undefined, { signal });
      const answer = await beat({ timeoutMs: intervalMs, signal });
      if (answer.stop) stop.abort(answer.stopReason);
    } catch {
      // A beat that fails is a beat that is missed; the next one comes.
    }
  }
}

async function wipeDisk(run: WipeRun, { task, tasks, signal }: { task: Task; tasks: readonly Task[]; signal: AbortSignal }): Promise<void> {
  const { disk, result } = task;
  if (result.method === 'keep') return;
  const problem = disk.problemWith(result.method);
  if (problem !== undefined) return void Object.assign(result, { state: 'failed', problem });
  const startedMs = performance.now();
  result.state = 'running';
  if (disk.fault === 'stuck') await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
  // What was there can be booted no more from the first write on.
  if (disk.content === 'system') disk.content = 'data';
  const lastsMs = (disk.facts.sizeBytes / run.bytesPerSecond) * 1000 * run.timeFactor;
  const steps = Math.max(1, Math.round(lastsMs / STEP_MS));
  for (let step = 1; step <= steps; step++) {
    await delay(lastsMs / steps, undefined, { signal });
    result.doneBytes = BigInt(Math.round((disk.facts.sizeBytes * step) / steps));
    run.onProgress(...sums(tasks));
    signal.throwIfAborted();
  }
  disk.content = 'nothing';
  Object.assign(result, { state: 'done', samples: SAMPLES, seconds: Math.round((performance.now() - startedMs) / 1000) });
}

function sums(tasks: readonly Task[]): [doneBytes: number, totalBytes: number] {
  const wiped = tasks.filter(({ result }) => result.method !== 'keep');
  const sum = (pick: (result: DiskResult) => bigint) => Number(wiped.reduce((total, { result }) => total + pick(result), 0n));
  return [sum(({ doneBytes }) => doneBytes), sum(({ sizeBytes }) => sizeBytes)];
}

/** What is to be done to a disk, by the first rule that fits it, and nothing done yet. */
function plannedResult({ facts }: SimulatedDisk, order: CreateServerResponse): DiskResult {
  const rule = order.wipePlan?.rules.find(
    ({ serial, wwn }) => (serial !== '' || wwn !== '') && (serial === '' || serial === facts.serialNumber) && (wwn === '' || wwn === facts.wwid),
  );
  const method = rule?.method ?? order.wipePlan?.method ?? (order.insecureWipe ? 'insecure' : 'zero');
  return create(DiskResultSchema, {
    deviceName: facts.deviceName,
    serial: facts.serialNumber,
    wwn: facts.wwid,
    method,
    reason: rule?.reason ?? '',
    state: method === 'keep' ? 'kept' : 'pending',
    sizeBytes: BigInt(facts.sizeBytes),
  });
}
