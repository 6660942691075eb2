import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { failure } from '../errors.ts';

/** Listens on `HOST:PORT`, `:PORT` or `[IPv6]:PORT` until `signal` aborts; gives the port. @throws SIDERO_LISTEN_FAILED */
export async function listenOn(server: HttpServer | HttpsServer, given: { what: string; address: string; signal: AbortSignal }): Promise<number> {
  const { what, address, signal } = given;
  const [, host = '', port = '0'] = /^(.*):(\d+)$/.exec(address) ?? [];
  server.listen(host === '' ? { port: Number(port) } : { host: host.replace(/^\[|\]$/g, ''), port: Number(port) });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw failure('SIDERO_LISTEN_FAILED', { what, address, cause });
  }
  signal.addEventListener('abort', () => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}
