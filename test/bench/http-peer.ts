import { once } from 'node:events';
import { createServer } from 'node:http';
import { Worker } from 'node:worker_threads';
import type { LoadOrder, LoadResult } from './load.ts';

/** Runs the load in a thread of its own. */
export async function loadWorker(order: LoadOrder): Promise<LoadResult> {
  const worker = new Worker(new URL('./load.ts', import.meta.url), { workerData: order });
  const [result] = (await once(worker, 'message')) as [LoadResult];
  return result;
}

/** What HTTP costs at least: the same bytes from a server that does nothing else. */
export async function bareServer(body: string): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
