import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP port on loopback that leads somewhere else, until it is cut. */
export interface Wire {
  readonly port: number;
  /** Ends every connection at once, in both directions and without a word. */
  cut(): void;
  close(): Promise<void>;
}

/** What comes this long after a question is no answer to it. */
const ANSWER_MS = 50;

/**
 * Lays a wire. `target` is asked for each connection: the port on loopback that it leads to, undefined when nobody is there. What the other end says
 * unasked, as an API does to those who watch, comes `pushLagMs` late: answers are fresh then, and what was heard before is not. Default 0.
 */
export async function layWire(target: () => number | undefined, pushLagMs = 0): Promise<Wire> {
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
    near.pipe(far);
    if (pushLagMs === 0) far.pipe(near);
    else pipeLate({ near, far }, pushLagMs);
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

function pipeLate({ near, far }: { near: Socket; far: Socket }, pushLagMs: number): void {
  let askedMs = performance.now();
  let dueMs = 0;
  near.on('data', () => {
    askedMs = performance.now();
  });
  far.on('data', (chunk: Buffer) => {
    const nowMs = performance.now();
    const isAnswer = nowMs - askedMs < ANSWER_MS;
    // One after the other, as they were said.
    dueMs = Math.max(dueMs, isAnswer ? nowMs : nowMs + pushLagMs);
    if (dueMs <= nowMs) near.write(chunk);
    else setTimeout(() => near.destroyed || near.write(chunk), dueMs - nowMs);
  });
}
