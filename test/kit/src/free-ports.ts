import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { failure } from './errors.ts';

/** Below 32768: from there on Linux gives ports to those who connect, or listen on port 0. Other systems begin higher. */
const BLOCKS = { first: 10_000, size: 8, count: 2_840 };

/**
 * Consecutive ports, at most 8, that nobody on this host uses, TCP and UDP alike. Nobody's connection starts from them, and until this process ends no other call gives them away: on Linux in no process
 * of this network namespace.
 * @throws SIDERO_PORTS_EXHAUSTED
 */
export async function freePorts(count: number): Promise<number[]> {
  const start = Math.floor(Math.random() * BLOCKS.count);
  for (let step = 0; step < BLOCKS.count; step++) {
    const first = BLOCKS.first + BLOCKS.size * ((start + step) % BLOCKS.count);
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if ((await reserved(first)) && (await Promise.all(ports.map(isFree))).every(Boolean)) return ports;
  }
  throw failure('SIDERO_PORTS_EXHAUSTED', { count, first: BLOCKS.first, last: BLOCKS.first + BLOCKS.size * BLOCKS.count - 1 });
}

/** Marks a block by a name in Linux' abstract socket namespace, which goes with the process that took it. */
async function reserved(first: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  return await listens(createServer().unref(), { path: `\0sidero-ports-${first}` });
}

/** Whether nobody listens there, on any address, over TCP or UDP. */
export async function isFree(port: number): Promise<boolean> {
  const tcp = createServer();
  const udp = createSocket('udp4');
  const free = await Promise.all([listens(tcp, { port, host: '0.0.0.0' }), binds(udp, port)]);
  await Promise.all([tcp.listening && once(tcp.close(), 'close'), once(udp.close(), 'close')]);
  return free.every(Boolean);
}

const listens = (server: ReturnType<typeof createServer>, on: { path: string } | { port: number; host: string }): Promise<boolean> =>
  happens(once(server.listen(on), 'listening'));

const binds = (socket: ReturnType<typeof createSocket>, port: number): Promise<boolean> => happens(once(socket.bind(port), 'listening'));

const happens = (event: Promise<unknown>): Promise<boolean> =>
  event.then(
    () => true,
    () => false,
  );
