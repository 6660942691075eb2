import { spawn } from 'node:child_process';
import { delimiter } from 'node:path';

/** How a program ended. */
export interface Ended {
  /** Undefined: it could not be started. */
  readonly code: number | undefined;
  readonly output: string;
  /** Why, for people, when the code is not 0: the last of what it said. */
  readonly problem: string;
}

const MAX_MS = 20_000;
const MAX_CHARACTERS = 4_000_000;

/** Runs a program to its end. Secrets go in by `input`: command lines are everybody's to read. */
export async function run(command: readonly [string, ...string[]], input = ''): Promise<Ended> {
  const [file, ...args] = command;
  const child = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: MAX_MS,
    killSignal: 'SIGKILL',
    env: { ...process.env, PATH: searchPath(), LC_ALL: 'C' },
  });
  let output = '';
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(0, MAX_CHARACTERS)));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ code: undefined, output, problem: error.code === 'ENOENT' ? `${file} is not installed` : error.message }),
    );
    child.once('close', (code, signal) => {
      const last = said.trim().split('\n').at(-1) ?? '';
      resolve({ code: code ?? 1, output, problem: last || `${file} ended with ${code ?? signal}` });
    });
  });
}

/** Where programs are looked for: the PATH of a plain user on Debian lacks the folder of `ip`. */
export function searchPath(): string {
  return [process.env['PATH'] ?? '', '/usr/sbin', '/sbin'].join(delimiter);
}
