import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Pause before a lost connection is tried again. */
const RETRY_MS = 1000;

/** A machine's kernel log on its way to us, as Talos sends it: a JSON object a line. What cannot be sent yet waits. */
export class KernelLog {
  readonly #startedMs = performance.now();
  readonly #lines: string[] = [];
  #wake = () => {};
  #sequence = 0;

  write(text: string): void {
    const clock = Math.round((performance.now() - this.#startedMs) * 1000);
    const record = {
      clock,
      facility: 'user',
      msg: `[talos] ${text}\n`,
      priority: 'warning',
      seq: ++this.#sequence,
      'talos-level': 'warn',
      'talos-time': new Date().toISOString(),
    };
    this.#lines.push(JSON.stringify(record));
    this.#wake();
  }

  /** Sends to `target` (`host:port`) from the address `from`, until the signal aborts. */
  async send(target: string, from: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#sendOver(target, from, signal).catch(() => undefined);
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #sendOver(target: string, from: string, signal: AbortSignal): Promise<void> {
    const { hostname, port } = new URL(`tcp://${target}`);
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), localAddress: from, signal });
    const closed = once(socket, 'close').catch(() => undefined);
    try {
      await once(socket, 'connect', { signal });
      await Promise.race([this.#pour(socket, signal), closed]);
    } finally {
      socket.destroy();
    }
  }

  async #pour(socket: Socket, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && socket.writable) {
      const line = this.#lines[0];
      if (line === undefined) {
        await this.#more(signal);
        continue;
      }
      await new Promise<void>((resolve, reject) => socket.write(`${line}\n`, (error) => (error ? reject(error) : resolve())));
      this.#lines.shift();
    }
  }

  #more(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    signal.addEventListener('abort', () => resolve(), { once: true });
    return promise;
  }
}
