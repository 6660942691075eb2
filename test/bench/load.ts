import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

/** What the load worker is told. */
export interface LoadOrder {
  readonly port: number;
  /** Asked in turn, each with its own connection at the start. */
  readonly paths: readonly string[];
  readonly connections: number;
  readonly durationMs: number;
}

/** What it found. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Keeps one request under way on each connection until the time is up. Plain sockets: the client must cost little beside the server. */
export async function load(order: LoadOrder): Promise<LoadResult> {
  const latencies: number[] = [];
  const endMs = performance.now() + order.durationMs;
  const startedMs = performance.now();
  const clients = Array.from({ length: order.connections }, (_, index) => client(order, { index, endMs, latencies }));
  await Promise.all(clients);
  const seconds = (performance.now() - startedMs) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return { requests: latencies.length, seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

function client(order: LoadOrder, run: { index: number; endMs: number; latencies: number[] }): Promise<void> {
  const requests = order.paths.map((path) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: iPXE/1.21.1\r\n\r\n`));
  return new Promise((resolve, reject) => {
    const socket = connect(order.port, '127.0.0.1');
    let next = run.index;
    let sentMs = 0;
    const send = () => {
      sentMs = performance.now();
      socket.write(requests[next++ % requests.length]!);
    };
    onAnswer(socket, () => {
      const nowMs = performance.now();
      run.latencies.push(nowMs - sentMs);
      if (nowMs < run.endMs) return send();
      socket.destroy();
      resolve();
    });
    socket.setNoDelay(true).on('connect', send).on('error', reject);
  });
}

/** Calls `done` for each whole answer; every answer here has a Content-Length. */
function onAnswer(socket: Socket, done: () => void): void {
  let pending = '';
  socket.on('data', (chunk) => {
    pending += chunk.toString('latin1');
    const head = pending.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(pending.slice(0, head))?.[1] ?? Number.NaN);
    if (!pending.startsWith('HTTP/1.1 200') || Number.isNaN(length))
      return void socket.destroy(new Error(`unexpected answer: ${pending.slice(0, 200)}`));
    if (pending.length < head + 4 + length) return;
    pending = pending.slice(head + 4 + length);
    done();
  });
}

if (parentPort) parentPort.postMessage(await load(workerData as LoadOrder));
