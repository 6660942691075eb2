import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { type MachineState, type ObservableMachine, StateLog } from '../machine/state.ts';
import { follow } from './follow.ts';
import { CLEAN, type Standing, UNKNOWN } from './standing.ts';
import type { DemoWorld, LogLine } from './world.ts';

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
    progress: undefined,
    onState: (listener: (state: MachineState) => void) => states.listen(listener),
  };
}

type Tell = (name: string, standing: Partial<Standing>) => void;
type Log = (uuid: string, text: string) => void;
const DONE: Standing = { ...UNKNOWN, isAccepted: true, isClean: true, isOff: true };

/** A demo whose machines do on power-on what the test says. */
function aWorld(machines: readonly ReturnType<typeof aMachine>[], powerOn: (tell: Tell, log: Log) => void): DemoWorld {
  const listeners: ((line: LogLine) => void)[] = [];
  const log: Log = (uuid, text) => listeners.forEach((listener) => listener({ uuid, text }));
  const { promise, resolve } = Promise.withResolvers<Tell>();
  return {
    title: 'a demo',
    machines,
    goal: CLEAN,
    onLog: (listener) => void listeners.push(listener),
    standings: async () => new Map(),
    watchStandings: async (onStanding, signal) => {
      resolve((name, standing) => onStanding(name, { ...UNKNOWN, ...standing }));
      await new Promise<void>((end) => signal.addEventListener('abort', () => end()));
    },
    kubeconfig: '',
    logs: '',
    powerOn: () => void promise.then((tell) => powerOn(tell, log)),
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

test('it is over when the API calls every machine clean and off', async () => {
  const machines = [aMachine('a'), aMachine('b')];
  const { output, written } = anOutput();
  const world = aWorld(machines, (tell, log) => {
    log('b', '[talos] phase install (2/7): 1 tasks(s)');
    machines[0]!.states.enter('tftp', { detail: 'snp.efi' });
    machines[0]!.states.enter('accepted');
    tell('a', { isAccepted: true });
    machines[0]!.states.enter('registered');
    machines[0]!.states.enter('wiping');
    machines[0]!.states.enter('clean');
    tell('a', { isAccepted: true, isClean: true });
    tell('a', { isAccepted: true, isClean: true, trouble: 'no answer from its BMC' });
    tell('somebody else', DONE);
    machines[0]!.states.enter('off', { detail: 'it was switched off' });
    tell('b', DONE);
    tell('a', DONE);
  });
  expect(await follow(world, { output, deadlineMs: inAMinute(), signal: never })).toBe(true);
  const [title, ...lines] = written;
  expect(title).toBe('a demo\n');
  // Without the time of day.
  expect(lines.map((line) => line.slice(13))).toEqual([
    'b | [talos] phase install (2/7): 1 tasks(s)\n',
    'a TFTP  waits for the boot file (snp.efi)\n',
    'a accepted  waits for the order to wipe\n',
    'a wiping\n',
    'a clean  waits for the power to go off\n',
    'a clean  waits for the power to go off (no answer from its BMC)\n',
    'a off  it was switched off\n',
    'b accepted  waits for the order to wipe\n',
    'b clean  waits for the power to go off\n',
    'b off  clean\n',
    'a off  clean\n',
  ]);
});

test('a clean machine that stays on is not done', async () => {
  const { output } = anOutput();
  const world = aWorld([aMachine('a')], (tell) => tell('a', { isAccepted: true, isClean: true }));
  expect(await follow(world, { output, deadlineMs: Date.now() + 50, signal: never })).toBe(false);
});

test('it is over at once when no machine can get there any more', async () => {
  const machines = [aMachine('a'), aMachine('b')];
  const { output } = anOutput();
  const world = aWorld(machines, (tell) => {
    tell('a', DONE);
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
