import { once } from 'node:events';
import { connect } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/** How long the process that tells may be away before it is asked again. */
const AGAIN_MS = 250;

/** Writes what a socket tells to `output`, and connects again whenever that ends, until the signal aborts. */
export async function followSocket(path: string, output: Writable, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await readOnce(path, output, signal);
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function readOnce(path: string, output: Writable, signal: AbortSignal): Promise<void> {
  const socket = connect(path);
  const stop = (): void => void socket.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    // What was cut in the middle by a process that was killed is told up to its last line.
    let rest = '';
    for await (const chunk of socket.setEncoding('utf8') as AsyncIterable<string>) {
      const text = rest + chunk;
      const end = text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      if (end > 0 && !output.write(text.slice(0, end))) await once(output, 'drain', { signal });
    }
  } catch {
    // Nobody is there, or no longer.
  } finally {
    signal.removeEventListener('abort', stop);
    socket.destroy();
  }
}
