import type { WipePlan } from '@sidero/core';
import type { AgentClient, CreateServerResponse } from '@sidero/plugin-agent/protocol';
import type { Machine } from '../machine.ts';
import { wasAnswered, wordsOf } from '../words.ts';
import { METHODS } from './methods.ts';
import { type DiskProgress, inUnits, Progress } from './progress.ts';
import { targetsOf } from './targets.ts';
import { type DiskWipe, wipeDisk } from './wipe-disk.ts';

/** What this agent can do about disks, as it tells when it registers. */
export const WIPE_CAPABILITIES: readonly string[] = ['wipe', 'wipe-plan', ...Object.keys(METHODS).map((method) => `wipe:${method}`)];

/** Disks wiped at the same time; more only wait for the same cables. */
const AT_ONCE = 16;
const CALL_TIMEOUT_MS = 30_000;
const RETRY_PAUSE_MS = 30_000;
const GIVE_UP_MS = 5 * 60_000;
/** The first ones follow faster: small disks are wiped in seconds, and somebody may be watching. */
const FIRST_HEARTBEAT_MS = 2000;
const HEARTBEAT_LIMIT_MS = 20_000;
const SAY_EVERY_MS = 10_000;
/** For disks that are asked to stop; one that is dead never answers. */
const STOP_LIMIT_MS = 15_000;

/** What a wipe is done with. */
export interface WipeRun {
  readonly machine: Machine;
  readonly client: Pick<AgentClient, 'heartbeat' | 'markServerAsWiped' | 'reportFailure'>;
  readonly uuid: string;
  /** Who is called, for messages. */
  readonly target: string;
  readonly signal: AbortSignal;
}

/** The plan in an answer; the original's server sends none, and means every disk. */
export function planOf({ wipePlan, insecureWipe }: Pick<CreateServerResponse, 'wipePlan' | 'insecureWipe'>): WipePlan {
  if (!wipePlan) return { method: insecureWipe ? 'insecure' : 'zero', disks: [] };
  const method = (text: string) => text as WipePlan['method'];
  const disks = wipePlan.rules.map((rule) => ({ serial: rule.serial, wwn: rule.wwn, method: method(rule.method), reason: rule.reason }));
  return { method: method(wipePlan.method), disks };
}

/**
 * Wipes the disks of this machine as the plan says, and reports how it went. Nothing is written before the management plane has been asked
 * once more, and everything stops when it says so, when it no longer knows this machine, or when no byte has moved for too long.
 *
 * @param order - `stallMs` is how long nothing may move
 * @returns whether the management plane has taken the machine as wiped; whatever went wrong has been said and told
 */
export async function runWipe(run: WipeRun, order: { readonly plan: WipePlan; readonly stallMs: number }): Promise<boolean> {
  const { machine } = run;
  const progress = new Progress(targetsOf(machine, order.plan), machine.now);
  sayPlan(run, progress);
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  try {
    await ask(run, progress);
    const beats = heartbeats(run, progress, { stop, stallMs: order.stallMs });
    try {
      await allDisks({ machine, progress, targets: progress.disks.map(({ target }) => target), seed: machine.now() * 1000, signal });
    } finally {
      // Before the result is told: a late heartbeat must not take it back.
      await beats[Symbol.asyncDispose]();
    }
    signal.throwIfAborted();
    const failed = progress.disks.filter(({ state }) => state === 'failed');
    if (failed.length > 0) throw new Error(failed.map(({ target, problem }) => `${target.deviceName} ${problem}`).join('; '));
    await repeated(run, () => run.client.markServerAsWiped({ uuid: run.uuid, disks: progress.results() }, { timeoutMs: CALL_TIMEOUT_MS, signal }));
    machine.say('wipe complete');
    return true;
  } catch (thrown) {
    run.signal.throwIfAborted();
    await report(run, progress, wordsOf(thrown, run.target));
    return false;
  }
}

function sayPlan({ machine }: WipeRun, { disks }: Progress): void {
  const words = disks.map(({ target, method, reason }) => {
    const name = `${target.deviceName} (${[target.serial, inUnits(target.sizeBytes)].filter(Boolean).join(', ')})`;
    return `${method === 'keep' ? 'keeping' : 'wiping'} ${name}${method === 'keep' ? '' : ` by ${method}`}${reason && `: ${reason}`}`;
  });
  for (const line of words.length > 0 ? words : ['this machine has no disk to wipe']) machine.say(line);
}

/** Asks whether all this is still meant, until there is an answer. @throws Error when it is not */
async function ask(run: WipeRun, progress: Progress): Promise<void> {
  const { stop, stopReason } = await repeated(run, () => beat(run, progress, run.signal));
  if (stop) throw new Error(`stopped before anything was written: ${stopReason}`);
}

function beat({ client, uuid }: WipeRun, progress: Progress, signal: AbortSignal) {
  return client.heartbeat({ uuid, disks: progress.results() }, { timeoutMs: CALL_TIMEOUT_MS, signal });
}

/** Repeats a call while nobody answers, for 5 min. */
async function repeated<T>({ machine, target, signal }: WipeRun, call: () => Promise<T>): Promise<T> {
  const startedMs = machine.now();
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      signal.throwIfAborted();
      if (wasAnswered(thrown) || machine.now() - startedMs + RETRY_PAUSE_MS > GIVE_UP_MS) throw thrown;
      machine.say(`retrying: ${wordsOf(thrown, target)}`, 'error');
    }
    await machine.pause(RETRY_PAUSE_MS, signal);
  }
}

/** Tells how far the wipe is until it is disposed of, says it on the console, and aborts `stop` with the reason to stop. */
function heartbeats(run: WipeRun, progress: Progress, given: { stop: AbortController; stallMs: number }): AsyncDisposable {
  const { machine, target } = run;
  const { stop, stallMs } = given;
  const over = new AbortController();
  const signal = AbortSignal.any([run.signal, over.signal]);
  const everyMs = Math.max(1000, Math.min(stallMs / 3, HEARTBEAT_LIMIT_MS));
  const tell = async () => {
    for (let pauseMs = FIRST_HEARTBEAT_MS; ; pauseMs *= 2) {
      await machine.pause(Math.min(pauseMs, everyMs), signal);
      // The management plane sees it first, when it can be reached: then it will not hand the wipe out again.
      if (machine.now() - progress.movedMs > stallMs + 2 * everyMs) stop.abort(new Error(`nothing moved for ${Math.round(stallMs / 1000)} s`));
      try {
        const answer = await beat(run, progress, signal);
        if (answer.stop) stop.abort(new Error(`stopped as the management plane says: ${answer.stopReason}`));
      } catch (thrown) {
        signal.throwIfAborted();
        // Silence is borne: what was begun is still meant. A refusal is not: this machine is no longer who it was.
        if (wasAnswered(thrown)) stop.abort(new Error(`stopped, as the management plane refuses this machine: ${wordsOf(thrown, target)}`));
      }
    }
  };
  const say = async () => {
    for (;;) {
      await machine.pause(SAY_EVERY_MS, signal);
      machine.say(progress.line());
    }
  };
  const both = Promise.allSettled([tell(), say()]);
  return {
    async [Symbol.asyncDispose]() {
      over.abort();
      await both;
    },
  };
}

/** All disks, so many at a time; ends early when it is aborted and disks do not come back. */
async function allDisks(wipe: DiskWipe): Promise<void> {
  const { progress, signal, machine } = wipe;
  const waiting = progress.disks.filter(({ state }) => state === 'pending');
  const work = async () => {
    for (let disk: DiskProgress | undefined; !signal.aborted && (disk = waiting.shift()); ) await wipeDisk(wipe, disk);
  };
  const all = Promise.all(Array.from({ length: Math.min(AT_ONCE, waiting.length) }, work));
  const over = new AbortController();
  const abandoned = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true, signal: over.signal })).then(() =>
    machine.pause(STOP_LIMIT_MS, over.signal).catch(() => undefined),
  );
  await Promise.race([all, abandoned]);
  over.abort();
}

async function report({ client, uuid, machine, target }: WipeRun, progress: Progress, message: string): Promise<void> {
  machine.say(`the wipe failed: ${message}`, 'error');
  try {
    await client.reportFailure({ uuid, stage: 'wipe', message, disks: progress.results() }, { timeoutMs: CALL_TIMEOUT_MS });
  } catch (thrown) {
    machine.say(`the management plane could not be told: ${wordsOf(thrown, target)}`, 'error');
  }
}
