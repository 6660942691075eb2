import type { MessageInitShape } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import {
  type AgentClient,
  agentClient,
  type CallOptions,
  type CreateServerResponse,
  type HardwareInformationSchema,
  StorageType,
} from '@sidero/plugin-agent';
import { setTimeout as delay } from 'node:timers/promises';
import { failure } from '../errors.ts';
import type { Random } from '../random.ts';
import type { SimulatedDisk } from './disk.ts';
import { flags, type Inventory } from './hardware.ts';
import type { States } from './state.ts';
import { wipe, WIPE_METHODS } from './wipe.ts';

/**
 * Which agent a machine runs: ours, ours without the ability to wipe, or the original's, which says nothing of itself, treats all disks alike
 * and boots anew when it has nothing to do.
 */
export type AgentKind = 'ours' | 'registering' | 'original';

/** What the agent on a simulated machine works with. */
export interface AgentRun {
  readonly machine: string;
  readonly inventory: Inventory;
  /** UUID it reports; differs from the inventory's in tests of bad firmware. */
  readonly uuid: string;
  /** Arguments the kernel was booted with. */
  readonly args: readonly string[];
  readonly address: string;
  readonly kind: AgentKind;
  readonly disks: readonly SimulatedDisk[];
  /** How fast a disk is wiped. */
  readonly wipeBytesPerSecond: number;
  readonly onWipeProgress: (doneBytes: number, totalBytes: number) => void;
  readonly states: States;
  readonly random: Random;
  /** Multiplies every pause. */
  readonly timeFactor: number;
  readonly signal: AbortSignal;
}

/** Deadline of a call, pause after one that failed, and how long all attempts together may take: those of the original. */
const CALL_MS = 30_000;
const RETRY_MS = 30_000;
const GIVE_UP_MS = 300_000;
/** Pause between two registrations while the machine waits for work: 20 s, and up to 10 s more so that machines spread. */
const IDLE_MS = 20_000;
const IDLE_JITTER_MS = 10_000;
/** How long the original's agent counts down before it boots anew. */
const COUNTDOWN_MS = 11_000;

const ABILITIES: Readonly<Record<AgentKind, { readonly agentVersion: string; readonly capabilities: string[] }>> = {
  ours: { agentVersion: 'simulated', capabilities: ['wipe', 'wipe-plan', ...WIPE_METHODS.map((method) => `wipe:${method}`)] },
  registering: { agentVersion: 'simulated', capabilities: [] },
  original: { agentVersion: '', capabilities: [] },
};

/** The value of a kernel argument; the first one wins, as in the agent. */
export function kernelArgument(args: readonly string[], name: string): string | undefined {
  const prefix = `${name}=`;
  return args.find((arg) => arg.startsWith(prefix))?.slice(prefix.length);
}

/**
 * Registers the machine, tells its addresses, wipes when it is told to, and registers again and again, as the agent does while it waits for
 * work. Returns when the machine is to boot anew.
 * @throws SIDERO_MACHINE_AGENT_FAILED when a call fails for 5 min, or the reason of the signal
 */
export async function runAgent(run: AgentRun): Promise<void> {
  const target = kernelArgument(run.args, 'sidero.endpoint');
  if (!target) throw failure('SIDERO_MACHINE_BOOT_FAILED', { machine: run.machine, problem: 'its kernel arguments name no sidero.endpoint' });
  const token = run.kind === 'original' ? undefined : kernelArgument(run.args, 'sidero.token');
  using client = agentClient({ target, token, channel: channelOf(run.timeFactor) });
  const first = await persistently(run, 'CreateServer', (options) => register(run, client, options));
  await persistently(run, 'ReconcileServerAddresses', (options) =>
    client.reconcileServerAddresses({ uuid: run.uuid, address: [{ type: 'InternalIP', address: run.address }] }, options),
  );
  if (run.kind !== 'original') return await waitForWork(run, client, first);
  if (first.wipe) await wipeAsTold(run, client, first);
  await delay(COUNTDOWN_MS * run.timeFactor, undefined, { signal: run.signal });
}

/** grpc-js shares connections between clients of one process; real machines do not. Its pauses between two attempts to connect are pauses, too. */
const channelOf = (timeFactor: number) => ({
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': Math.max(10, 1000 * timeFactor),
  'grpc.max_reconnect_backoff_ms': Math.max(100, 120_000 * timeFactor),
});

/** Silence of the management plane is borne while the machine waits; a refusal that lasts is not, as only another boot brings another token. */
async function waitForWork(run: AgentRun, client: AgentClient, first: CreateServerResponse): Promise<void> {
  const { signal, states, timeFactor } = run;
  let refusedMs: number | undefined;
  let answer = first;
  let waiting = await workOn(run, client, answer);
  while (!answer.reboot) {
    const idleMs = IDLE_MS + run.random.between(0, IDLE_JITTER_MS);
    const waitMs = idleMs * timeFactor;
    if (states.state.stage !== waiting.stage || states.state.detail !== waiting.detail) states.enter(waiting.stage, { waitMs, ...waiting });
    await delay(waitMs, undefined, { signal });
    const calledMs = performance.now();
    try {
      answer = await register(run, client, { timeoutMs: CALL_MS, signal });
      refusedMs = undefined;
    } catch (cause) {
      signal.throwIfAborted();
      waiting = { stage: 'agent' };
      if (isSilence(cause)) refusedMs = undefined;
      else refusedMs = refusedMs === undefined ? 0 : refusedMs + idleMs + performance.now() - calledMs;
      if (refusedMs !== undefined && refusedMs > GIVE_UP_MS)
        throw failure('SIDERO_MACHINE_AGENT_FAILED', { machine: run.machine, call: 'CreateServer', cause });
      continue;
    }
    waiting = await workOn(run, client, answer);
  }
}

/** What a machine shows while it waits. */
interface Waiting {
  readonly stage: 'agent' | 'registered' | 'accepted' | 'clean';
  readonly detail?: string;
}

/** Does what it was told, and says as what it waits then. */
async function workOn(run: AgentRun, client: AgentClient, answer: CreateServerResponse): Promise<Waiting> {
  if (!answer.accepted) return { stage: 'registered' };
  if (answer.wipe) return await wipeAsTold(run, client, answer);
  if (answer.hold !== '') return { stage: 'accepted', detail: answer.hold };
  return { stage: run.states.state.stage === 'clean' ? 'clean' : 'accepted' };
}

async function wipeAsTold(run: AgentRun, client: AgentClient, order: CreateServerResponse): Promise<Waiting> {
  const { uuid, disks, states, timeFactor, signal } = run;
  states.enter('accepted');
  const outcome = await wipe({
    uuid,
    client,
    order,
    disks,
    tellsDisks: run.kind === 'ours',
    bytesPerSecond: run.wipeBytesPerSecond,
    timeFactor,
    states,
    onProgress: run.onWipeProgress,
    persistently: (call, attempt) => persistently(run, call, attempt),
    signal,
  });
  if (!outcome.isClean) return { stage: 'accepted', detail: outcome.why };
  states.enter('clean');
  return { stage: 'clean' };
}

const isSilence = (thrown: unknown) => [status.UNAVAILABLE, status.DEADLINE_EXCEEDED].includes((thrown as { code?: number }).code ?? -1);

const register = (run: AgentRun, client: AgentClient, options: CallOptions) =>
  client.createServer({ hardware: hardwareMessage(run.inventory, run.uuid), hostname: '', ...ABILITIES[run.kind] }, options);

/** Repeats a call as the agent does: any error may pass. A call takes as long as in truth, so its time counts as it is, and that of a pause in full. */
async function persistently<T>(run: AgentRun, call: string, attempt: (options: CallOptions) => Promise<T>): Promise<T> {
  const { signal, timeFactor } = run;
  const pauseMs = RETRY_MS * timeFactor;
  let spentMs = 0;
  for (;;) {
    const calledMs = performance.now();
    try {
      return await attempt({ timeoutMs: CALL_MS, signal });
    } catch (cause) {
      signal.throwIfAborted();
      spentMs += performance.now() - calledMs + RETRY_MS;
      if (spentMs > GIVE_UP_MS) throw failure('SIDERO_MACHINE_AGENT_FAILED', { machine: run.machine, call, cause });
      run.states.enter('agent', { waitMs: pauseMs, detail: cause instanceof Error ? cause.message : String(cause) });
      await delay(pauseMs, undefined, { signal });
    }
  }
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

/** The inventory as the agent sends it. */
export function hardwareMessage(machine: Inventory, uuid = machine.system.uuid): MessageInitShape<typeof HardwareInformationSchema> {
  const { processors, modules, disks, interfaces } = machine;
  return {
    system: { ...machine.system, uuid },
    firmware: { bootMode: machine.firmware },
    compute: {
      totalCoreCount: sum(processors.map((p) => p.coreCount)),
      totalThreadCount: sum(processors.map((p) => p.threadCount)),
      processorCount: processors.length,
      processors: processors.map(({ speedMHz, ...processor }) => ({ ...processor, speed: speedMHz })),
    },
    memory: {
      totalSize: sum(modules.map((m) => m.sizeMB)),
      moduleCount: modules.length,
      modules: modules.map(({ sizeMB, speedMTs, ...module }) => ({ ...module, size: sizeMB, speed: speedMTs })),
    },
    storage: {
      totalSize: BigInt(sum(disks.map((d) => d.sizeBytes))),
      deviceCount: disks.length,
      devices: disks.map(({ type, sizeBytes, model, serialNumber, deviceName, wwid }) => ({
        type: StorageType[type],
        size: BigInt(sizeBytes),
        model,
        serial: serialNumber,
        deviceName,
        wwid,
      })),
    },
    network: {
      interfaceCount: interfaces.length,
      interfaces: interfaces.map((nic, index) => ({ ...nic, index: index + 2, flags: flags(nic.carrier) })),
    },
  };
}
