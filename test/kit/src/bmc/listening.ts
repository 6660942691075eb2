import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Child } from '../qemu/child.ts';
import { failure } from './errors.ts';

export type Transport = 'tcp' | 'udp';

/**
 * Waits until a program has its port, whatever network namespace it is in: the kernel lists the sockets of a process's namespace.
 * @throws SIDERO_SIMULATOR_LATE when it ended, or after 60 s
 */
export async function untilListening(child: Child, { transport, port }: { transport: Transport; port: number }): Promise<void> {
  let outcome: string | undefined;
  void child.exited.then((how) => (outcome = how));
  const deadline = performance.now() + 60_000;
  while (!(await listens(child.pid, { transport, port }))) {
    const why = outcome !== undefined ? `it ended with ${outcome}` : performance.now() > deadline ? 'waited 60 s' : undefined;
    if (why)
      throw failure('SIDERO_SIMULATOR_LATE', {
        name: child.name,
        address: `${transport} port ${port}`,
        why,
        tail: child.lines.slice(-20).join('\n'),
      });
    await delay(20);
  }
}

async function listens(pid: number, { transport, port }: { transport: Transport; port: number }): Promise<boolean> {
  const own = await sockets(pid);
  const table = await readFile(`/proc/${pid}/net/${transport}`, 'utf8').catch(() => '');
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').some((line) => {
    const fields = line.trim().split(/\s+/);
    return fields[1]?.endsWith(local) === true && fields[3] === WAITING[transport] && own.has(fields[9]);
  });
}

/** The kernel's numbers for "listens" of TCP and for "is bound" of UDP. */
const WAITING: Readonly<Record<Transport, string>> = { tcp: '0A', udp: '07' };

/** The inodes of the sockets that a process has open. */
async function sockets(pid: number): Promise<ReadonlySet<string | undefined>> {
  const folder = `/proc/${pid}/fd`;
  const files = await readdir(folder).catch(() => []);
  const links = await Promise.all(files.map((file) => readlink(join(folder, file)).catch(() => '')));
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}
