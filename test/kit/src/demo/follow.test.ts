import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { type MachineState, type ObservableMachine, StateLog } from '../machine/state.ts';
import { follow } from './follow.ts';
import type { DemoWorld } from './world.ts';

const never = new AbortController().signal;

/** A machine without a wire: the test moves it. */
function aMachine(name: string): ObservableMachine & { states: StateLog } {
  const states = new StateLog();
  return {
    states,
    name,
    uuid: name,
    mac: '',
    get state() {
      return states.state;
    },
    history: states.history,
    transfer: undefined,
    onState: (listener: (state: MachineState) => void) => states.listen(listener),
  };
}

/** A demo whose machines do on power-on what the test says. */
function aWorld(machines: readonly ReturnType<typeof aMachine>[], powerOn: (accept: (name: string) => void) => void): DemoWorld {
  const { promise, resolve } = Promise.withResolvers<(name: string) => void>();
  return {
    title: 'a demo',
    machines,
    accepted: async () => new Set(),
    watchAccepted: async (onAccepted, signal) => {
      resolve(onAccepted);
      await new Promise<void>((end) => signal.addEventListener('abort', () => end()));
    },
    kubeconfig: '',
    logs: '',
    powerOn: () => void promise.then(powerOn),
    done: new Promise(() => undefined),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function anOutput() {
  const written: string[] = [];
  const output = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  return { output, written };
}

const inAMinute = () => Date.now() + 60_000;

test('it is over when the API has accepted every machine', async () => {
  const machines = [aMachine('a'), aMachine('b')];
  const { output, written } = anOutput();
  const world = aWorld(machines, (accept) => {
    machines[0]!.states.enter('tftp', { detail: 'snp.efi' });
    accept('a');
    accept('somebody else');
    accept('b');
  });
  expect(await follow(world, { output, deadlineMs: inAMinute(), signal: never })).toBe(true);
  const [title, ...lines] = written;
  expect(title).toBe('a demo\n');
  // Without the time of day.
  expect(lines.map((line) => line.slice(13))).toEqual(['a TFTP  waits for the boot file (snp.efi)\n', 'a accepted\n', 'b accepted\n']);
});

test('it is over at once when no machine can be accepted any more', async () => {
  const machines = [aMachine('a'), aMachine('b')];
  const { output } = anOutput();
  const world = aWorld(machines, (accept) => {
    accept('a');
    machines[1]!.states.enter('failed', { detail: 'no DHCP' });
  });
  expect(await follow(world, { output, deadlineMs: inAMinute(), signal: never })).toBe(false);
});

test('it is over at the deadline', async () => {
  const { output } = anOutput();
  const world = aWorld([aMachine('a')], () => undefined);
  expect(await follow(world, { output, deadlineMs: Date.now() + 20, signal: never })).toBe(false);
});

test('Ctrl-C ends it', async () => {
  const stop = new AbortController();
  const { output } = anOutput();
  const world = aWorld([aMachine('a')], () => stop.abort());
  expect(await follow(world, { output, deadlineMs: inAMinute(), signal: stop.signal })).toBe(false);
});
