import { setTimeout as delay } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import type { ObservableMachine } from '../machine/state.ts';
import { coloured, type DemoView, frame, type MachineView, plainLine } from './display.ts';
import type { DemoWorld } from './world.ts';

/** A stream people read: a terminal, or anything else. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

const FRAME_MS = 100;

/** Switches the machines on and shows them until all are accepted, none can be any more, the deadline has come or the signal aborts. True when all are accepted. */
export async function follow(world: DemoWorld, given: { output: Output; deadlineMs: number; signal: AbortSignal }): Promise<boolean> {
  const { output, deadlineMs } = given;
  const stop = new AbortController();
  const signal = AbortSignal.any([given.signal, stop.signal]);
  const accepted = new Set<string>();
  const views = () => world.machines.map((machine) => viewOf(machine, accepted));
  const display = output.isTTY
    ? liveDisplay(output, () => ({ title: world.title, machines: views(), nowMs: Date.now(), deadlineMs }))
    : plainDisplay(world, output, accepted);
  const all = acceptedAll(world, { accepted, signal, onChange: display.onAccepted });
  const ticker = setInterval(display.tick, FRAME_MS);
  world.powerOn(given.signal);
  try {
    const late = delay(deadlineMs - Date.now(), false, { signal });
    return await Promise.race([all, late, allSettled(world, accepted), world.done.then(() => false)]);
  } catch (thrown) {
    if (given.signal.aborted) return false;
    throw thrown;
  } finally {
    stop.abort();
    clearInterval(ticker);
    display.end();
  }
}

const viewOf = (machine: ObservableMachine, accepted: ReadonlySet<string>): MachineView => ({
  name: machine.name,
  state: machine.state,
  transfer: machine.transfer,
  isAccepted: accepted.has(machine.uuid),
});

/** Resolves with true when every machine's Server is accepted. */
async function acceptedAll(
  world: DemoWorld,
  given: { accepted: Set<string>; signal: AbortSignal; onChange: (uuid: string) => void },
): Promise<boolean> {
  const { accepted, signal, onChange } = given;
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const look = (uuid: string) => {
    if (accepted.has(uuid)) return;
    accepted.add(uuid);
    onChange(uuid);
    if (world.machines.every((machine) => accepted.has(machine.uuid))) resolve(true);
  };
  world.watchAccepted(look, signal).then(() => resolve(false), reject);
  return await promise;
}

/** Resolves with false when at least one machine failed, and no other is still on its way. */
function allSettled(world: DemoWorld, accepted: ReadonlySet<string>): Promise<false> {
  return new Promise((resolve) => {
    const isSettled = (machine: ObservableMachine) => machine.state.stage === 'failed' || accepted.has(machine.uuid);
    const look = () => {
      if (world.machines.some(({ state }) => state.stage === 'failed') && world.machines.every(isSettled)) resolve(false);
    };
    for (const machine of world.machines) machine.onState(look);
  });
}

interface Display {
  tick(): void;
  onAccepted(uuid: string): void;
  end(): void;
}

function liveDisplay(output: Output, view: () => Omit<DemoView, 'width'>): Display {
  const update = createLogUpdate(output as NodeJS.WriteStream);
  const tick = () => update(coloured(frame({ ...view(), width: (output.columns ?? 80) - 1 })).join('\n'));
  return {
    tick,
    onAccepted: () => undefined,
    end() {
      tick();
      update.done();
    },
  };
}

function plainDisplay(world: DemoWorld, output: Output, accepted: ReadonlySet<string>): Display {
  output.write(`${world.title}\n`);
  const write = (machine: ObservableMachine) => output.write(`${plainLine(viewOf(machine, accepted), Date.now())}\n`);
  const stops = world.machines.map((machine) => machine.onState(() => machine.state.stage !== 'accepted' && write(machine)));
  return {
    tick: () => undefined,
    onAccepted: (uuid) => world.machines.filter((machine) => machine.uuid === uuid).forEach(write),
    end: () => stops.forEach((stop) => stop()),
  };
}
