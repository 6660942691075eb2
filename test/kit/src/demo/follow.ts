import { setTimeout as delay } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import type { ObservableMachine, StageName } from '../machine/state.ts';
import { coloured, type DemoView, frame, type MachineView, plainLine } from './display.ts';
import { CLEAN, type Standing, UNKNOWN } from './standing.ts';
import type { DemoWorld, LogLine } from './world.ts';

/** A stream people read: a terminal, or anything else. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

const FRAME_MS = 100;
/** Lines of the machines' logs that a frame shows. */
const LOG_LINES = 6;

/** What the API has said of each machine so far, by UUID. */
type Standings = Map<string, Standing>;

/**
 * Switches the machines on and shows them until all have got as far as they shall, none can any more, the deadline has come or the signal
 * aborts. True when all have.
 */
export async function follow(world: DemoWorld, given: { output: Output; deadlineMs: number; signal: AbortSignal }): Promise<boolean> {
  const { output, deadlineMs } = given;
  const stop = new AbortController();
  const signal = AbortSignal.any([given.signal, stop.signal]);
  const standings: Standings = new Map();
  const views = () => world.machines.map((machine) => viewOf(machine, standings));
  const { title, goal } = world;
  const display = output.isTTY
    ? liveDisplay(output, () => ({ title, goal, machines: views(), nowMs: Date.now(), deadlineMs }))
    : plainDisplay(world, output, standings);
  const nameOf = (uuid: string) => world.machines.find((machine) => machine.uuid === uuid)?.name ?? uuid;
  world.onLog((line) => display.onLog({ ...line, name: nameOf(line.uuid) }));
  const all = allDone(world, { standings, signal, onChange: display.onStanding });
  const ticker = setInterval(display.tick, FRAME_MS);
  world.powerOn(given.signal);
  try {
    const late = delay(deadlineMs - Date.now(), false, { signal });
    return await Promise.race([all, late, allSettled(world, standings), world.done.then(() => false)]);
  } catch (thrown) {
    if (given.signal.aborted) return false;
    throw thrown;
  } finally {
    stop.abort();
    clearInterval(ticker);
    display.end();
  }
}

const viewOf = (machine: ObservableMachine, standings: Standings): MachineView => ({
  name: machine.name,
  state: machine.state,
  progress: machine.progress,
  standing: standings.get(machine.uuid) ?? UNKNOWN,
});

/** Resolves with true when every machine has got as far as it shall. */
async function allDone(
  world: DemoWorld,
  given: { standings: Standings; signal: AbortSignal; onChange: (machine: ObservableMachine, before: Standing) => void },
): Promise<boolean> {
  const { standings, signal, onChange } = given;
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const look = (uuid: string, standing: Standing) => {
    const machine = world.machines.find((one) => one.uuid === uuid);
    if (!machine) return;
    const before = standings.get(uuid) ?? UNKNOWN;
    standings.set(uuid, standing);
    onChange(machine, before);
    if (world.machines.every((one) => world.goal.isReached(standings.get(one.uuid) ?? UNKNOWN))) resolve(true);
  };
  world.watchStandings(look, signal).then(() => resolve(false), reject);
  return await promise;
}

/** Resolves with false when at least one machine failed, and no other is still on its way. */
function allSettled(world: DemoWorld, standings: Standings): Promise<false> {
  return new Promise((resolve) => {
    const isSettled = ({ state, uuid }: ObservableMachine) => state.stage === 'failed' || world.goal.isReached(standings.get(uuid) ?? UNKNOWN);
    const look = () => {
      if (world.machines.some(({ state }) => state.stage === 'failed') && world.machines.every(isSettled)) resolve(false);
    };
    for (const machine of world.machines) machine.onState(look);
  });
}

interface Display {
  tick(): void;
  onLog(line: LogLine & { readonly name: string }): void;
  onStanding(machine: ObservableMachine, before: Standing): void;
  end(): void;
}

function liveDisplay(output: Output, view: () => Omit<DemoView, 'width' | 'logs'>): Display {
  const update = createLogUpdate(output as NodeJS.WriteStream);
  const logs: string[] = [];
  const tick = () => update(coloured(frame({ ...view(), logs, width: (output.columns ?? 80) - 1 })).join('\n'));
  return {
    tick,
    onLog({ name, text }) {
      logs.push(`${name} ${text}`);
      if (logs.length > LOG_LINES) logs.shift();
    },
    onStanding: () => undefined,
    end() {
      tick();
      update.done();
    },
  };
}

/** Stages of which the API has the last word: a line of them is written when it has spoken. */
const BY_THE_API: readonly StageName[] = ['accepted', 'clean'];
/** What a machine may believe for a while after the API has said more. */
const BEFORE_ACCEPTANCE: StageName = 'registered';

function plainDisplay(world: DemoWorld, output: Output, standings: Standings): Display {
  output.write(`${world.title}\n`);
  const write = (view: MachineView) => output.write(`${plainLine(view, Date.now())}\n`);
  const reached = (machine: ObservableMachine, stage: StageName, standing: Standing) =>
    write({ ...viewOf(machine, standings), standing, progress: undefined, state: { stage, sinceMs: Date.now() } });
  const stops = world.machines.map((machine) =>
    machine.onState(({ stage, detail }) => {
      const view = viewOf(machine, standings);
      const isOld = view.standing.isAccepted && stage === BEFORE_ACCEPTANCE;
      // A detail is news: why an accepted machine is not wiped.
      if (!isOld && (!BY_THE_API.includes(stage) || detail)) write(view);
    }),
  );
  return {
    tick: () => undefined,
    onLog: ({ name, text }) => void output.write(`${new Date().toISOString().slice(11, 23)} ${name} | ${text}\n`),
    onStanding(machine, before) {
      const standing = standings.get(machine.uuid)!;
      if (standing.isAccepted && !before.isAccepted) reached(machine, 'accepted', { ...standing, isClean: false });
      if (standing.isClean && !before.isClean) reached(machine, 'clean', standing);
      if (CLEAN.isReached(standing) && !CLEAN.isReached(before)) reached(machine, 'off', standing);
      else if (standing.trouble && standing.trouble !== before.trouble) write(viewOf(machine, standings));
    },
    end: () => stops.forEach((stop) => stop()),
  };
}
