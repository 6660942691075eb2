import { once } from 'node:events';
import { connect } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/** How long the process that tells may be away before it is asked again. */
const AGAIN_MS = 250;
/** So long it may be away without a word: it is being started again. */
const QUIET_MS = 5000;

/** What is read, and who reads. */
export interface Following {
  readonly path: string;
  readonly output: Writable;
  readonly signal: AbortSignal;
  /** Called when nobody has answered for so long, once each time. */
  readonly onSilence?: () => void;
  /** Default 5 s. */
  readonly quietMs?: number;
}

/** Writes what a socket tells to `output`, and connects again whenever that ends, until the signal aborts. */
export async function followSocket(following: Following): Promise<void> {
  const { signal, onSilence, quietMs = QUIET_MS } = following;
  while (!signal.aborted) {
    const silence = setTimeout(() => onSilence?.(), quietMs);
    while (!signal.aborted && !(await readOnce(following, () => clearTimeout(silence))))
      await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
    clearTimeout(silence);
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}

// False: nobody answered.
async function readOnce({ path, output, signal }: Following, onAnswer: () => void): Promise<boolean> {
  let isThere = false;
  const socket = connect(path, () => {
    isThere = true;
    onAnswer();
  });
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
  return isThere;
}
