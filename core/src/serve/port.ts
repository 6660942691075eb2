import type { Server as GrpcServer } from '@grpc/grpc-js';
import { ServerCredentials } from '@grpc/grpc-js';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { failure } from '../errors.ts';
import type { Metrics } from '../metrics.ts';

/** What the one TCP port is made of. */
export interface PortOptions {
  readonly http: HttpServer;
  readonly grpc: GrpcServer;
  readonly metrics: Metrics;
  /** Connections at once, of all clients. Default 4096. */
  readonly maxConnections?: number;
  /** How long a client may be silent before its first bytes. Default 10 s. */
  readonly sniffTimeoutMs?: number;
  /** How long running requests may take after the stop. Default 1.5 s. */
  readonly drainMs?: number;
}

/** A TCP port that is listening. */
export interface OpenPort {
  readonly port: number;
  /** No new connection; running requests may end within `drainMs`, then everything is cut. */
  close(): Promise<void>;
}

// HTTP/2's connection preface starts so; no HTTP/1 method does.
const HTTP2_PREFACE = Buffer.from('PRI ');

/**
 * Opens one TCP port for HTTP/1.1 and gRPC: the first four bytes of a connection decide who serves it.
 * @throws SIDERO_LISTEN_FAILED
 */
export async function openPort(address: { host?: string; port: number }, options: PortOptions): Promise<OpenPort> {
  const { http, grpc, metrics, maxConnections = 4096, drainMs = 1500 } = options;
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const open = new Set<Socket>();
  const idle = new Set<Socket>();
  const count = metrics.gauge('sidero_connections', 'Open TCP connections on the API port.');
  const dropped = metrics.counter('sidero_connections_dropped_total', 'Connections that ended before a protocol was seen.', ['reason']);

  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) => {
    track(socket, [open, idle], () => count(open.size));
    sniff(socket, { timeoutMs: options.sniffTimeoutMs ?? 10_000, dropped }, (isHttp2) => {
      idle.delete(socket);
      if (isHttp2) injector.injectConnection(socket);
      else http.emit('connection', socket);
    });
  });
  server.maxConnections = maxConnections;
  server.on('drop', () => dropped({ reason: 'limit' }));
  await listen(server, address);
  // Node watches an HTTP server's connections (time-outs, idle ones) from this event on, and ours never listens itself.
  http.emit('listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      idle.forEach((socket) => socket.destroy());
      http.close();
      injector.drain(drainMs);
      const timer = setTimeout(() => open.forEach((socket) => socket.destroy()), drainMs);
      await closed;
      clearTimeout(timer);
      injector.destroy();
    },
  };
}

// Keeps a socket in `sets` while it lives.
function track(socket: Socket, sets: readonly Set<Socket>[], changed: () => void): void {
  sets.forEach((set) => set.add(socket));
  changed();
  socket.once('close', () => {
    sets.forEach((set) => set.delete(socket));
    changed();
  });
  // A reset by the client is no event of ours; the protocol behind it sees the close.
  socket.on('error', () => undefined);
}

async function listen(server: ReturnType<typeof createServer>, { host, port }: { host?: string; port: number }): Promise<void> {
  server.listen(host === undefined ? { port } : { port, host });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw failure('SIDERO_LISTEN_FAILED', { what: 'the API port', address: `${host ?? '*'}:${port}`, cause });
  }
}

function sniff(
  socket: Socket,
  given: { timeoutMs: number; dropped: (labels: { reason: string }) => void },
  decided: (isHttp2: boolean) => void,
): void {
  let seen = Buffer.alloc(0);
  const timer = setTimeout(() => {
    given.dropped({ reason: 'silent' });
    socket.destroy();
  }, given.timeoutMs);
  const onReadable = (): void => {
    for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null) seen = Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, HTTP2_PREFACE.length);
    if (length === 0) return;
    const couldBeHttp2 = seen.subarray(0, length).equals(HTTP2_PREFACE.subarray(0, length));
    if (couldBeHttp2 && length < HTTP2_PREFACE.length) return;
    clearTimeout(timer);
    socket.off('readable', onReadable);
    socket.unshift(seen);
    // Handed over as it came: neither flowing nor with a listener of ours that would steal its bytes.
    decided(couldBeHttp2);
  };
  socket.on('readable', onReadable);
  socket.once('close', () => clearTimeout(timer));
}
