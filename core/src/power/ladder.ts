import { hasCode, SideroError } from '../errors.ts';
import type { NetworkBootMode } from '../registries.ts';
import { type Effect, stateBefore, type Watching, watchFor } from './effect.ts';
import type { PowerAction, PowerProof } from './index.ts';
import { worstOf } from './power-errors.ts';
import type { Way } from './way.ts';

/** What the ladder is climbed with. */
export interface Climb {
  readonly action: PowerAction;
  readonly mode: NetworkBootMode;
  readonly onlyWhenOff: boolean;
  readonly clock: Watching['clock'];
  readonly signal: AbortSignal;
}

type Failed = PowerProof['failed'][number];
type Doing = Watching & Pick<Climb, 'mode' | 'onlyWhenOff'>;

/** How long a machine is given to lose its power where nobody can tell. */
const BLIND_OFF_MS = 5000;
const BLIND = 'not verified: this driver cannot tell the state';

const ACTIONS: Readonly<Record<PowerAction, (doing: Doing) => Promise<string>>> = {
  on: switchOn,
  off: switchOff,
  soft: shutDown,
  cycle,
  'network-boot': networkBoot,
};

/** Does it by the first way that can: each is tried until its effect is seen. @throws what the way that says most threw */
export async function climb(ways: readonly Way[], { action, ...how }: Climb): Promise<PowerProof> {
  const failed: Failed[] = [];
  for (const way of ways) {
    const { driver } = way.about;
    try {
      return { driver, detail: await ACTIONS[action]({ way, ...how }), failed };
    } catch (thrown) {
      how.signal.throwIfAborted();
      if (!(thrown instanceof SideroError)) throw thrown;
      failed.push({ driver, problem: thrown });
    }
  }
  throw allFailed(failed);
}

function allFailed(failed: readonly Failed[]): Error {
  const worst = worstOf(failed)!;
  const { code, message, next, details, cause } = worst.problem;
  const others = failed.filter((other) => other !== worst).map(({ problem }) => ` Also tried: ${problem.message}`);
  return others.length === 0 ? worst.problem : new SideroError({ code, message: message + others.join(''), next, details, cause });
}

async function switchOn(doing: Doing): Promise<string> {
  const before = await stateBefore(true, doing);
  if (before === true) return 'it is on already';
  return switchOnFrom(before, doing);
}

async function switchOnFrom(before: false | undefined, doing: Doing): Promise<string> {
  await doing.way.on();
  if (before === undefined) return `it was told to switch on; ${BLIND}`;
  return `it was off, and is on ${secondsOf(await effectOf('switch on', true, doing))} later`;
}

async function switchOff(doing: Doing): Promise<string> {
  const before = await stateBefore(false, doing);
  if (before === false) return 'it is off already';
  if (!(await doing.way.off())) throw doing.way.unsupported('it cannot switch off');
  if (before === undefined) return `it was told to switch off; ${BLIND}`;
  return `it was on, and is off ${secondsOf(await effectOf('switch off', false, doing))} later`;
}

// How long an operating system takes is its own affair: that it still runs is told, and is no failure.
async function shutDown(doing: Doing): Promise<string> {
  const before = await stateBefore(false, doing);
  if (before === false) return 'it is off already';
  if (!(await doing.way.soft())) throw doing.way.unsupported('it cannot ask the operating system to shut down');
  const asked = 'its operating system was asked to shut down';
  if (before === undefined) return `${asked}; ${BLIND}`;
  const effect = await watchFor(false, doing);
  return effect.isThere ? `${asked}, and it is off ${secondsOf(effect)} later` : `${asked}; it is still on ${secondsOf(effect)} later`;
}

async function cycle(doing: Doing): Promise<string> {
  const before = await stateBefore(false, doing);
  return before === false ? switchOnFrom(before, doing) : restart(before, doing);
}

async function restart(before: true | undefined, doing: Doing): Promise<string> {
  if (!(await didCycle(doing.way))) return offAndOn(before, doing);
  if (before === undefined) return `it was told to cycle; ${BLIND}`;
  const effect = await effectOf('cycle', true, doing);
  return `it was on, was told to cycle, and is on ${secondsOf(effect)} later${effect.sawOther ? '' : '; it was not seen off in between'}`;
}

// Some refuse it to a machine that is off, whatever they said of its state.
async function didCycle(way: Way): Promise<boolean> {
  try {
    return await way.cycle();
  } catch (thrown) {
    if (hasCode(thrown, 'SIDERO_BMC_UNSUPPORTED')) return false;
    throw thrown;
  }
}

async function offAndOn(before: true | undefined, doing: Doing): Promise<string> {
  const { way, clock, signal } = doing;
  if (!(await way.off())) throw way.unsupported('it can neither cycle nor switch off');
  if (before === undefined) {
    await clock.pause(BLIND_OFF_MS, signal);
    await way.on();
    return `it was told to switch off, and on ${BLIND_OFF_MS / 1000} s later; ${BLIND}`;
  }
  const off = await effectOf('switch off', false, doing);
  await way.on();
  const on = await effectOf('switch on', true, doing);
  return `it was on, is off ${secondsOf(off)} later, and on ${secondsOf(on)} after that`;
}

async function networkBoot(doing: Doing): Promise<string> {
  const { way, mode, onlyWhenOff } = doing;
  const before = await stateBefore(false, doing);
  if (onlyWhenOff && before === true) return 'it is on already, and was left alone';
  // Right before the power: many BMCs forget it after a minute.
  if (!(await way.networkBootOnce(mode))) {
    if (before === true) throw way.unsupported('the machine is on, and this driver cannot make it boot from the network');
    return `${await switchOnFrom(before, doing)}; this driver only switches on, what it boots is up to the machine`;
  }
  const booted = before === false || (before === undefined && onlyWhenOff) ? await switchOnFrom(before, doing) : await restart(before, doing);
  return `network boot once (${mode}) was set; ${booted}`;
}

async function effectOf(verb: string, isOn: boolean, doing: Doing): Promise<Effect> {
  const effect = await watchFor(isOn, doing);
  if (effect.isThere) return effect;
  if (effect.problem) throw effect.problem;
  throw doing.way.fault(`it was told to ${verb}, and is still ${isOn ? 'off' : 'on'} ${secondsOf(effect)} later`);
}

function secondsOf({ seconds }: Effect): string {
  return `${seconds.toFixed(1)} s`;
}
