import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { failure } from './errors.ts';

/** How a program is run, and what to do when it fails. */
export interface CommandOptions {
  /** A sentence without its full stop. */
  readonly next: string;
  readonly cwd?: string;
}

/** Runs a program to its end and gives its standard output. @throws SIDERO_IMAGE_COMMAND_FAILED */
export async function runCommand(command: readonly [string, ...string[]], { next, cwd }: CommandOptions): Promise<Buffer> {
  const [program, ...args] = command;
  try {
    const options = { cwd, encoding: 'buffer', maxBuffer: 1024 * 1024 * 1024 } as const;
    return (await promisify(execFile)(program, args, options)).stdout;
  } catch (cause) {
    const { code, stderr } = cause as { readonly code?: unknown; readonly stderr?: Buffer };
    const last = stderr?.toString().trim().split('\n').at(-1);
    const problem = code === 'ENOENT' ? 'it is not installed' : last || String(cause);
    throw failure('SIDERO_IMAGE_COMMAND_FAILED', { command: [program, ...args.slice(0, 2)].join(' '), problem, next, cause });
  }
}
