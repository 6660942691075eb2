import { SideroError } from '../errors.ts';
import type { PowerSession } from '../registries.ts';
import type { Clock } from './clock.ts';
import type { Power, PowerReading } from './index.ts';
import { worstOf } from './power-errors.ts';
import type { Way } from './way.ts';

/** The state that the first way tells which can. */
export async function readPower(ways: readonly Way[], { clock, signal }: { clock: Clock; signal: AbortSignal }): Promise<PowerReading> {
  const failed: { readonly problem: SideroError }[] = [];
  for (const way of ways) {
    const isOn = await orProblem(way.isOn(), signal);
    if (isOn instanceof SideroError) failed.push({ problem: isOn });
    else if (isOn !== undefined) return { state: isOn ? 'on' : 'off', driver: way.about.driver, problem: undefined, at: clock.now() };
  }
  return { state: 'unknown', driver: undefined, problem: worstOf(failed)?.problem, at: clock.now() };
}

/** What each way's device supports. A device that cannot be asked is left out, unless none can. */
export async function probeAll(ways: readonly Way[], signal: AbortSignal): ReturnType<Power['probe']> {
  const found: Record<string, Readonly<Record<string, string>>> = {};
  const failed: { readonly problem: SideroError }[] = [];
  for (const way of ways) {
    const answer = await orProblem(way.tell('probe', probed, { repeatable: true }), signal);
    if (answer instanceof SideroError) failed.push({ problem: answer });
    else found[way.about.driver] = answer;
  }
  const worst = worstOf(failed);
  if (worst && failed.length === ways.length) throw worst.problem;
  return found;
}

const ABILITIES = ['on', 'isOn', 'off', 'cycle', 'soft', 'networkBootOnce', 'changePassword'] as const;

async function probed(session: PowerSession, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
  const abilities = ABILITIES.filter((ability) => session[ability] !== undefined).join(', ');
  return { Abilities: abilities, ...(await session.probe?.(signal)) };
}

async function orProblem<T>(work: Promise<T>, signal: AbortSignal): Promise<T | SideroError> {
  try {
    return await work;
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof SideroError) return thrown;
    throw thrown;
  }
}
