import { failure } from '../errors.ts';
import { duration } from './display.ts';
import { follow, type Output } from './follow.ts';
import type { DemoOptions } from './options.ts';
import { simulatedWorld } from './simulated-world.ts';
import { isDone, type Standing, UNKNOWN } from './standing.ts';
import type { DemoWorld } from './world.ts';

/** Where a demo shows itself, and how it is stopped. */
export interface DemoRun {
  readonly options: DemoOptions;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/** What `--once` prints as its last line. */
export interface DemoResult {
  readonly servers: number;
  readonly accepted: number;
  readonly clean: number;
  readonly seconds: number;
}

/**
 * Runs the demo to its end. With `isOnce` that is when all machines are clean and off, or the deadline; without, when the signal aborts.
 * @throws SIDERO_DEMO_LATE, and what starting the management plane throws
 */
export async function runDemo(run: DemoRun): Promise<void> {
  const { options, output, signal } = run;
  const startedMs = Date.now();
  await using world = await openWorld(options);
  const isComplete = await follow(world, { output, signal, deadlineMs: startedMs + options.timeoutMs });
  if (signal.aborted) return;
  const seconds = Math.round((Date.now() - startedMs) / 10) / 100;
  const standings = await world.standings();
  output.write(isComplete ? lookFurther(world, seconds) : reasons(world, standings));
  if (options.isOnce) {
    const ours = world.machines.map(({ uuid }) => standings.get(uuid) ?? UNKNOWN);
    const count = (is: (standing: Standing) => boolean) => ours.filter(is).length;
    const accepted = count(({ isAccepted }) => isAccepted);
    const clean = count(({ isClean }) => isClean);
    const result: DemoResult = { servers: options.servers, accepted, clean, seconds };
    output.write(`${JSON.stringify(result)}\n`);
    if (!ours.every(isDone)) throw failure('SIDERO_DEMO_LATE', { ...result, missing: missing(world, standings).join('; ') });
    return;
  }
  output.write('Ctrl-C ends the demo.\n');
  await Promise.race([world.done, aborted(signal)]);
}

async function openWorld(options: DemoOptions): Promise<DemoWorld> {
  if (options.machines === 'simulated') return await simulatedWorld(options);
  // Loaded only when asked for: the harness of real firmware is large, and of no use on other systems than Linux.
  const { qemuWorld } = await import('./qemu-world.ts');
  return await qemuWorld(options);
}

function lookFurther(world: DemoWorld, seconds: number): string {
  return `
All ${world.machines.length} servers are accepted, wiped and off after ${duration(seconds * 1000)}. Look further:
  kubectl --kubeconfig ${world.kubeconfig} get servers
  npx sidero inspect
Logs: ${world.logs}
`;
}

function missing(world: DemoWorld, standings: ReadonlyMap<string, Standing>): readonly string[] {
  return world.machines.flatMap(({ name, uuid, state }) => {
    const standing = standings.get(uuid) ?? UNKNOWN;
    if (isDone(standing)) return [];
    const why = [state.detail, standing.why].filter((text) => text).join('; ');
    return [`${name} (${uuid}) is at "${state.stage}"${why && `: ${why}`}`];
  });
}

function reasons(world: DemoWorld, standings: ReadonlyMap<string, Standing>): string {
  return `\n${missing(world, standings)
    .map((line) => `  ${line}\n`)
    .join('')}Logs: ${world.logs}\n`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
