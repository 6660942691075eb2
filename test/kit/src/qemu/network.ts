import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { routerAdvertiser } from './dnsmasq.ts';
import { type Forward, forward } from './forward.ts';
import { failure } from './errors.ts';
import { createNamespace, type Namespace } from './namespace.ts';
import { qemuSupport } from './support.ts';

/** A link layer with nothing on it but us: machines, the management plane, and whoever else a test puts there. */
export interface Network extends Namespace {
  /** The interface to serve on. */
  readonly bridge: 'br0';
  /** Our address on it. */
  readonly address: '10.77.0.1';
  /** Folder for disks and logs; removed with the network. */
  readonly dir: string;
  /** Plugs a machine in: gives the tap device that is its end. */
  addTap(): Promise<string>;
  /** Another host on the link, with its own address in 10.77.0.0/24. */
  addHost(address: string): Promise<Namespace>;
  /** Makes a TCP port of ours inside reachable on the same port of 127.0.0.1 outside. */
  forward(port: number): Promise<Forward>;
  /** Makes a TCP port of 127.0.0.1 outside reachable on the same port of 127.0.0.1 inside. */
  bring(port: number): Promise<Forward>;
}

const PREFIX = 'sidero-qemu-';

/**
 * Makes the network: bridge `br0` without spanning tree (its delay would outlast DHCP), our addresses 10.77.0.1 and
 * fd77::1, and router advertisements, without which iPXE waits 13 s for IPv6. It has no way out to any other network.
 * @throws SIDERO_QEMU_UNSUPPORTED, which names what to install
 */
export async function createNetwork(): Promise<Network> {
  const missing = qemuSupport([]);
  if (missing.length > 0) throw failure('SIDERO_QEMU_UNSUPPORTED', { missing });
  await removeLeftovers();
  const stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  try {
    const space = stack.use(await createNamespace());
    await space.run(['ip', '-batch', '-'], LINK.join('\n'));
    stack.use(await routerAdvertiser(space));
    return network(space, { dir, stack });
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

const LINK = [
  'link set lo up',
  'link add br0 type bridge stp_state 0 forward_delay 0',
  'addr add 10.77.0.1/24 dev br0',
  'addr add fd77::1/64 dev br0 nodad',
  'link set br0 up',
];

function network(space: Namespace, { dir, stack }: { dir: string; stack: AsyncDisposableStack }): Network {
  let taps = 0;
  let hosts = 0;
  return {
    ...space,
    bridge: 'br0',
    address: '10.77.0.1',
    dir,
    async addTap() {
      const tap = `tap${++taps}`;
      await space.run(['ip', '-batch', '-'], `tuntap add dev ${tap} mode tap\nlink set ${tap} master br0 up\n`);
      return tap;
    },
    async addHost(address) {
      const host = stack.use(await createNamespace(space));
      const port = `host${++hosts}`;
      await space.run(['ip', '-batch', '-'], `link add ${port} type veth peer name br0 netns ${host.pid}\nlink set ${port} master br0 up\n`);
      await host.run(['ip', '-batch', '-'], `link set lo up\naddr add ${address}/24 dev br0\nlink set br0 up\n`);
      return host;
    },
    async forward(port) {
      return stack.use(await forward(space, { port, dir, clients: 'outside' }));
    },
    async bring(port) {
      return stack.use(await forward(space, { port, dir, clients: 'inside' }));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

// What a killed run leaves is its folder: the kernel has taken the rest. Another user's is that user's to remove.
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    const folder = join(tmpdir(), name);
    if (!owner || isAlive(Number(owner))) continue;
    // Somebody else may sweep as well.
    const found = await stat(folder).catch(() => undefined);
    if (found?.uid === process.getuid?.()) await rm(folder, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
