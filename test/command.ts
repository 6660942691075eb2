import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
/** The programs of our devDependencies, and the Node they want. */
const TOOLS = join(ROOT, 'node_modules/.bin');

/** How a program ended and what it said. */
export interface Outcome {
  /** Exit code; 127 when it could not be started, 128 and more after a signal. */
  readonly code: number;
  readonly output: string;
  readonly seconds: number;
}

export interface CommandOptions {
  readonly signal: AbortSignal;
  /** Show what it prints as it comes, instead of only keeping it. */
  readonly isShown?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end in a process group of its own; when `signal` aborts the whole group is ended. */
export function runCommand([program, ...args]: readonly [string, ...string[]], { signal, isShown = false, env }: CommandOptions): Promise<Outcome> {
  const start = performance.now();
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const child = spawn(program, args, {
    detached: true,
    stdio: isShown ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    cwd: ROOT,
    env: { ...process.env, PATH: [TOOLS, process.env['PATH']].join(delimiter), ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  let force: NodeJS.Timeout | undefined;
  const stop = () => {
    endGroup(child.pid, 'SIGTERM');
    force = setTimeout(endGroup, 5000, child.pid, 'SIGKILL');
  };
  const settle = (code: number) => {
    clearTimeout(force);
    // What it started may outlive it.
    if (signal.aborted) endGroup(child.pid, 'SIGKILL');
    signal.removeEventListener('abort', stop);
    resolve({ code, output, seconds: (performance.now() - start) / 1000 });
  };
  child.once('error', (error) => {
    output += error.message;
    settle(127);
  });
  child.once('close', (code) => settle(code ?? 128));
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  return promise;
}

function endGroup(leader: number | undefined, how: NodeJS.Signals): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, how);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // nobody is left in it
  }
}
