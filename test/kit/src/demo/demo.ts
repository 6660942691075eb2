import { failure } from '../errors.ts';
import { takeDataFolder } from './data-folder.ts';
import { duration } from './display.ts';
import { follow, type Output } from './follow.ts';
import type { DemoOptions } from './options.ts';
import { simulatedWorld } from './simulated-world.ts';
import { INSTALLED, type Standing, UNKNOWN } from './standing.ts';
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
  /** Wiped, and perhaps in use since. */
  readonly clean: number;
  /** Only where the demo makes nodes of its machines: how many are installed, and how many have been heard. */
  readonly installed?: number;
  readonly streaming?: number;
  readonly seconds: number;
}

/**
 * Runs the demo to its end. With `isOnce` that is when all machines have got as far as they shall, or the deadline; without, when the signal aborts.
 * @throws SIDERO_DEMO_LATE, and what starting the management plane throws
 */
export async function runDemo(run: DemoRun): Promise<void> {
  const { options, output, signal } = run;
  const startedMs = Date.now();
  using folder = await takeDataFolder(options.dataDir);
  await using world = await openWorld(options, folder.path);
  const isComplete = await follow(world, { output, signal, deadlineMs: startedMs + options.timeoutMs });
  if (signal.aborted) return;
  const seconds = Math.round((Date.now() - startedMs) / 10) / 100;
  const standings = await world.standings();
  output.write(isComplete ? lookFurther(world, seconds) : reasons(world, standings));
  if (options.isOnce) {
    const result = resultOf(world, standings, seconds);
    output.write(`${JSON.stringify(result)}\n`);
    const late = missing(world, standings);
    if (late.length > 0) throw failure('SIDERO_DEMO_LATE', { ...result, goal: world.goal.words, missing: late.join('; ') });
    return;
  }
  output.write('Ctrl-C ends the demo.\n');
  await Promise.race([world.done, aborted(signal)]);
}

async function openWorld(options: DemoOptions, folder: string): Promise<DemoWorld> {
  if (options.machines === 'simulated') return await simulatedWorld(options, folder);
  // Loaded only when asked for: the harness of real firmware is large, and of no use on other systems than Linux.
  const { qemuWorld } = await import('./qemu-world.ts');
  return await qemuWorld(options, folder);
}

function resultOf({ machines, goal }: DemoWorld, standings: ReadonlyMap<string, Standing>, seconds: number): DemoResult {
  const count = (is: (standing: Standing) => boolean) => machines.filter(({ uuid }) => is(standings.get(uuid) ?? UNKNOWN)).length;
  return {
    servers: machines.length,
    accepted: count(({ isAccepted }) => isAccepted),
    clean: count(({ isWiped }) => isWiped),
    ...(goal === INSTALLED && { installed: count(({ isInstalled }) => isInstalled), streaming: count(({ isStreaming }) => isStreaming) }),
    seconds,
  };
}

function lookFurther(world: DemoWorld, seconds: number): string {
  const kinds = world.goal === INSTALLED ? 'servers,serverbindings,machines' : 'servers';
  return `
All ${world.machines.length} servers are ${world.goal.words} after ${duration(seconds * 1000)}. Look further:
  kubectl --kubeconfig ${world.kubeconfig} get ${kinds}
  npx sidero inspect
Logs: ${world.logs}
`;
}

function missing(world: DemoWorld, standings: ReadonlyMap<string, Standing>): readonly string[] {
  return world.machines.flatMap(({ name, uuid, state }) => {
    const standing = standings.get(uuid) ?? UNKNOWN;
    if (world.goal.isReached(standing)) return [];
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
