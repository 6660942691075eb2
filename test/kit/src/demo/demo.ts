import { SideroError } from '@sidero/core';
import { failure } from '../errors.ts';
import { duration } from './display.ts';
import { follow, type Output } from './follow.ts';
import type { DemoOptions } from './options.ts';
import { simulatedWorld } from './simulated-world.ts';
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
  readonly seconds: number;
}

/**
 * Runs the demo to its end. With `isOnce` that is when all machines are accepted, or the deadline; without, when the signal aborts.
 * @throws SIDERO_DEMO_LATE, and what starting the management plane throws
 */
export async function runDemo(run: DemoRun): Promise<void> {
  const { options, output, signal } = run;
  const startedMs = Date.now();
  await using world = await openWorld(options);
  const isComplete = await follow(world, { output, signal, deadlineMs: startedMs + options.timeoutMs });
  if (signal.aborted) return;
  const seconds = Math.round((Date.now() - startedMs) / 10) / 100;
  const accepted = await world.accepted();
  output.write(isComplete ? lookFurther(world, seconds) : reasons(world, accepted));
  if (options.isOnce) {
    const ours = world.machines.filter(({ uuid }) => accepted.has(uuid)).length;
    const result: DemoResult = { servers: options.servers, accepted: ours, seconds };
    output.write(`${JSON.stringify(result)}\n`);
    if (ours < options.servers) throw late(world, { result, accepted });
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
All ${world.machines.length} servers are accepted after ${duration(seconds * 1000)}. Look further:
  kubectl --kubeconfig ${world.kubeconfig} get servers
  npx sidero inspect
Logs: ${world.logs}
`;
}

function missing(world: DemoWorld, accepted: ReadonlySet<string>): readonly string[] {
  return world.machines
    .filter(({ uuid }) => !accepted.has(uuid))
    .map(({ name, uuid, state }) => `${name} (${uuid}) is at "${state.stage}"${state.detail ? `: ${state.detail}` : ''}`);
}

function reasons(world: DemoWorld, accepted: ReadonlySet<string>): string {
  return `\n${missing(world, accepted)
    .map((line) => `  ${line}\n`)
    .join('')}Logs: ${world.logs}\n`;
}

function late(world: DemoWorld, given: { result: DemoResult; accepted: ReadonlySet<string> }): SideroError {
  return failure('SIDERO_DEMO_LATE', { ...given.result, missing: missing(world, given.accepted).join('; ') });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
