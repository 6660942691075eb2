import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';

/** A way into a network for TCP clients outside it. */
export interface Forward extends AsyncDisposable {
  /** Port on 127.0.0.1, outside. */
  readonly port: number;
}

/**
 * Carries TCP from 127.0.0.1:`port` out here to 127.0.0.1:`port` in there, over a Unix socket: those are not bound to a
 * network namespace. The same port on both sides lets a kubeconfig written inside work outside.
 */
export async function forward(space: Namespace, { port, dir }: { port: number; dir: string }): Promise<Forward> {
  const path = join(dir, `forward-${port}.sock`);
  const inner = await space.start([process.execPath, '--eval', INNER, path, String(port)], { name: `forward of port ${port}` });
  await inner.line(/^listening$/, { timeoutMs: 10_000 });
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const there = connect(path);
    for (const socket of [client, there]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.pipe(there).on('close', () => client.destroy());
    there.pipe(client).on('close', () => there.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await inner.stop();
    },
  };
}

// CommonJS, as --eval takes it.
const INNER = `
const net = require('node:net');
const [path, port] = process.argv.slice(1);
net.createServer((client) => {
  const there = net.connect(Number(port), '127.0.0.1');
  for (const socket of [client, there]) socket.on('error', () => {});
  client.pipe(there).on('close', () => client.destroy());
  there.pipe(client).on('close', () => there.destroy());
}).listen(path, () => console.log('listening'));
`;
