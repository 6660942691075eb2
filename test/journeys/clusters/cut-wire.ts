import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP port on loopback that leads somewhere else, until it is cut. */
export interface Wire {
  readonly port: number;
  /** Ends every connection at once, in both directions and without a word. */
  cut(): void;
  close(): Promise<void>;
}

/** Lays a wire. `target` is asked for each connection: the port on loopback that it leads to, undefined when nobody is there. */
export async function layWire(target: () => number | undefined): Promise<Wire> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    const port = target();
    if (port === undefined) return void near.resetAndDestroy();
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true).on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const close = async () => {
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  };
  return { port: (server.address() as AddressInfo).port, cut, close };
}
