import { SideroError } from '../errors.ts';
import type { Clock } from './clock.ts';
import type { Way } from './way.ts';

/** Where and when an effect is looked for. */
export interface Watching {
  readonly way: Way;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const STEP_MS = 1000;
const STEPS = 30;

/** What became of an order. */
export interface Effect {
  readonly isThere: boolean;
  readonly seconds: number;
  /** Whether the other state was seen on the way. */
  readonly sawOther: boolean;
  /** Why the device could not be asked, the last time that it could not. */
  readonly problem: SideroError | undefined;
}

/**
 * Waits up to 30 s until a machine is on, or off. It counts when two looks in a row say so: many BMCs say "on" for seconds after "off", and some
 * states flip back. A device that does not answer meanwhile is asked again.
 */
export async function watchFor(isOn: boolean, { way, clock, signal }: Watching): Promise<Effect> {
  const startedMs = clock.now().getTime();
  const seconds = () => (clock.now().getTime() - startedMs) / 1000;
  let found: Pick<Effect, 'sawOther' | 'problem'> = { sawOther: false, problem: undefined };
  let inRow = 0;
  for (let step = 0; step <= STEPS && seconds() <= (STEPS * STEP_MS) / 1000; step++) {
    if (step > 0) await clock.pause(STEP_MS, signal);
    const look = await lookOf(way, signal);
    inRow = look === isOn ? inRow + 1 : 0;
    if (inRow === 2) return { ...found, isThere: true, seconds: seconds() };
    if (look instanceof SideroError) found = { ...found, problem: look };
    else found = { sawOther: found.sawOther || look !== isOn, problem: undefined };
  }
  return { ...found, isThere: false, seconds: seconds() };
}

async function lookOf(way: Way, signal: AbortSignal): Promise<boolean | undefined | SideroError> {
  try {
    return await way.isOn();
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof SideroError && thrown.code !== 'SIDERO_BMC_AUTH') return thrown;
    throw thrown;
  }
}

/**
 * Whether the machine is on, before something is done. A state with which less would be done is looked at twice.
 * Undefined: this driver cannot tell.
 */
export async function stateBefore(doubted: boolean, { way, clock, signal }: Watching): Promise<boolean | undefined> {
  const first = await way.isOn();
  if (first !== doubted) return first;
  await clock.pause(STEP_MS, signal);
  return way.isOn();
}
