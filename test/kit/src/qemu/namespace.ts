import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Child, type ChildOptions, runChild, startChild } from './child.ts';
import { failure } from './errors.ts';

/** A network of its own: what runs in it sees only what was put there. */
export interface Namespace extends AsyncDisposable {
  /** Process that stands for the namespace. */
  readonly pid: number;
  /** The command line that runs `command` inside. It dies when the process that started it dies. */
  inside(command: readonly [string, ...string[]]): readonly [string, ...string[]];
  start(command: readonly [string, ...string[]], options: ChildOptions): Promise<Child>;
  /** Runs to the end and gives the output. @throws SIDERO_QEMU_COMMAND_FAILED */
  run(command: readonly [string, ...string[]], input?: string): Promise<string>;
}

/**
 * Makes a network namespace without a name, held by a `cat` on a pipe from us: however we end, `kill -9` included, the
 * pipe closes and the kernel takes the namespace away with all its interfaces. Without root it lies in a user namespace.
 * `within` makes another one under the same user namespace, so that both can be wired together.
 */
export async function createNamespace(within?: Namespace): Promise<Namespace> {
  const unshare = (...more: string[]) => ['unshare', ...more, '--net', '--', 'cat'] as const;
  const [program, ...args] = within ? ([...enter(within.pid), ...unshare()] as const) : isRoot() ? unshare() : unshare('--user', '--map-root-user');
  const holder = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let complaint = '';
  holder.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  holder.stdin.on('error', () => undefined);
  const closed = once(holder, 'close');
  holder.stdin.write('ready\n'); // cat's echo tells that the namespace stands
  await Promise.race([once(holder.stdout, 'data'), closed.then(() => Promise.reject(new Error(complaint.trim() || 'it ended at once')))]).catch(
    (cause: unknown) => {
      throw failure('SIDERO_QEMU_START_FAILED', { name: 'unshare', cause });
    },
  );
  const pid = holder.pid!;
  const inside = (command: readonly [string, ...string[]]): readonly [string, ...string[]] => [
    ...enter(pid, '--net'),
    'setpriv',
    '--pdeathsig',
    'KILL',
    ...command,
  ];
  return {
    pid,
    inside,
    start: (command, options) => startChild(inside(command), options),
    run: (command, input) => runChild(inside(command), input),
    async [Symbol.asyncDispose]() {
      holder.stdin.end();
      await closed;
    },
  };
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function enter(pid: number, ...spaces: readonly string[]) {
  return ['nsenter', '--target', String(pid), ...(isRoot() ? [] : ['--user', '--preserve-credentials']), ...spaces, '--'] as const;
}
