import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { delimiter } from 'node:path';
import { failure } from './errors.ts';
import { LogLines, type Wait } from './log-lines.ts';

/** A running program with everything it prints. */
export interface Child extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** Both its outputs, line by line. */
  readonly lines: readonly string[];
  /** How it ended ("code 0", "signal SIGKILL"). */
  readonly exited: Promise<string>;
  /** The first line, past or future, that matches. @throws SIDERO_QEMU_LINE_MISSING */
  line(pattern: RegExp, wait: Wait): Promise<RegExpExecArray>;
  /** Asks it to end, and makes it end after `graceMs` (default 5000). */
  stop(graceMs?: number): Promise<void>;
}

export interface ChildOptions {
  readonly name: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Lines are handed on as they come, too. */
  readonly onText?: (text: string) => void;
}

/** Starts a program whose two outputs are captured. It does not read input. @throws SIDERO_QEMU_START_FAILED */
export async function startChild([program, ...args]: readonly [string, ...string[]], options: ChildOptions): Promise<Child> {
  const { name } = options;
  const log = new LogLines(name);
  const started = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: searchPath(), ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
  });
  const exited = outcomeOf(started).then((outcome) => {
    log.end(`it ended with ${outcome}`);
    return outcome;
  });
  for (const output of [started.stdout, started.stderr]) {
    output.setEncoding('utf8').on('data', (text: string) => {
      log.push(text);
      options.onText?.(text);
    });
  }
  await once(started, 'spawn').catch((cause: unknown) => {
    throw failure('SIDERO_QEMU_START_FAILED', { name, cause });
  });
  const stop = (graceMs = 5000) => stopChild(started, { exited, graceMs });
  return {
    name,
    pid: started.pid!,
    lines: log.lines,
    exited,
    line: (pattern, wait) => log.line(pattern, wait),
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** Runs a program to its end. @throws SIDERO_QEMU_COMMAND_FAILED */
export async function runChild(command: readonly [string, ...string[]], input = ''): Promise<string> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, PATH: searchPath() } });
  let output = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  child.stdin.on('error', () => undefined); // a program that ends without reading its input says why by its exit code
  child.stdin.end(input);
  const outcome = await outcomeOf(child);
  if (outcome === 'code 0') return output;
  throw failure('SIDERO_QEMU_COMMAND_FAILED', { command: command.join(' '), outcome, output: `${complaint}${output}`.trim() });
}

/** Where programs are looked for: a plain user's PATH on Debian lacks the folder of dnsmasq and ip. */
export function searchPath(): string {
  return [process.env['PATH'] ?? '', '/usr/sbin', '/sbin'].join(delimiter);
}

function outcomeOf(child: ChildProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  child.once('close', (code, signal) => resolve(signal ? `signal ${signal}` : `code ${code}`));
  child.once('error', (error) => resolve(error.message));
  return promise;
}

async function stopChild(child: ChildProcess, { exited, graceMs }: { exited: Promise<string>; graceMs: number }): Promise<void> {
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await exited;
  clearTimeout(force);
}
