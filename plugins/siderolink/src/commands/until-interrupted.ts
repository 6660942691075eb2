import type { Writable } from 'node:stream';

/** Does the work until it ends, Ctrl-C is pressed, or whoever reads `output` has gone (`| head`). */
export async function untilInterrupted(output: Writable, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  const broken = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    stop.abort();
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, interrupt);
  output.on('error', broken);
  try {
    await work(stop.signal);
  } catch (thrown) {
    if (!stop.signal.aborted) throw thrown;
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
    output.off('error', broken);
  }
}
