import { once } from 'node:events';
import { createServer, type NetConnectOpts, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';

/** A way into a network, or out of it, for TCP clients. */
export interface Forward extends AsyncDisposable {
  /** Port on 127.0.0.1, out here. */
  readonly port: number;
}

/** On which side the clients are. */
export type ClientSide = 'outside' | 'inside';

/**
 * Carries TCP between 127.0.0.1:`port` out here and 127.0.0.1:`insidePort` in there, over a Unix socket: those are not bound to a
 * network namespace. The same port on both sides, the default, lets a kubeconfig written on one work on the other.
 */
export async function forward(
  space: Namespace,
  {
    port,
    insidePort = port,
    dir,
    clients,
  }: { readonly port: number; readonly insidePort?: number; readonly dir: string; readonly clients: ClientSide },
): Promise<Forward> {
  const path = join(dir, `forward-${port}.sock`);
  const [tcp, tcpInside] = [port, insidePort].map((number) => ({ port: number, host: '127.0.0.1' })) as [NetConnectOpts, NetConnectOpts];
  const name = `forward of port ${port}`;
  const outer = await (clients === 'outside' ? relay(tcp, { path }) : relay({ path }, tcp));
  const ends = clients === 'outside' ? [{ path }, tcpInside] : [tcpInside, { path }];
  const inner = await space.start([process.execPath, '--eval', INNER, ...ends.map((end) => JSON.stringify(end))], { name });
  await inner.line(/^listening$/, { timeoutMs: 10_000 });
  return {
    port,
    async [Symbol.asyncDispose]() {
      outer.close();
      await inner.stop();
    },
  };
}

/** Takes connections at one address and makes one to the other for each. */
async function relay(at: NetConnectOpts, to: NetConnectOpts) {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const there = connect(to);
    for (const socket of [client, there]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.pipe(there).on('close', () => client.destroy());
    there.pipe(client).on('close', () => there.destroy());
  }).listen(at);
  await once(server, 'listening');
  return {
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

// CommonJS, as --eval takes it.
const INNER = `
const net = require('node:net');
const [at, to] = process.argv.slice(1).map((end) => JSON.parse(end));
net.createServer((client) => {
  const there = net.connect(to);
  for (const socket of [client, there]) socket.on('error', () => {});
  client.pipe(there).on('close', () => client.destroy());
  there.pipe(client).on('close', () => there.destroy());
}).listen(at, () => console.log('listening'));
`;
