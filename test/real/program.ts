import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const READY_TIMEOUT_MS = 90_000;
const SETPRIV = '/usr/bin/setpriv';
const KEPT_CHARACTERS = 100_000;

/** A program that runs beside the test. */
export interface Program {
  /** The last of what it said on stderr. */
  said(): string;
  /** How it ended, with the last of what it said; undefined while it runs. */
  ended(): string | undefined;
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>;
}

/** Starts a program; what it writes to stdout is dropped. A test process that is killed takes it along where the kernel offers that. */
export function startProgram(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Program {
  const [file, all] = existsSync(SETPRIV) ? [SETPRIV, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, [...args]];
  const child: ChildProcess = spawn(file, all, { stdio: ['ignore', 'ignore', 'pipe'], env });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-KEPT_CHARACTERS);
  });
  let end: string | undefined;
  const gone = new Promise<void>((resolve) => {
    const note = (how: string) => {
      end ??= `${command} ended (${how}):\n${said.slice(-4000)}`;
      resolve();
    };
    child.once('error', (error) => note(error.message));
    child.once('exit', (code, signal) => note(String(code ?? signal)));
  });
  return {
    said: () => said,
    ended: () => end,
    kill: () => {
      child.kill('SIGKILL');
      return gone;
    },
  };
}

/** Waits until a program does its work. @throws when it ends before that, or takes too long */
export async function untilReady(program: Program, what: string, isReady: () => Promise<boolean>): Promise<Program> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const end = program.ended();
    if (end) throw new Error(end);
    if (await isReady().catch(() => false)) return program;
    await delay(50);
  }
  await program.kill();
  throw new Error(`${what} was not ready within ${READY_TIMEOUT_MS} ms: ${program.ended()}`);
}
