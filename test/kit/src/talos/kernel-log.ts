import { once } from 'node:events';
import { connect } from 'node:net';
import { type Line, Outbox } from './outbox.ts';

/** A machine's kernel log on its way to us, as Talos sends it: a JSON object a line. What cannot be sent yet waits. */
export class KernelLog {
  readonly #startedMs = performance.now();
  readonly #lines = new Outbox<string>();
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
    this.#lines.push(`${JSON.stringify(record)}\n`);
  }

  /** Sends to `target` (`host:port`) from the address `from`, until the signal aborts. */
  send(target: string, from: string, signal: AbortSignal): Promise<void> {
    return this.#lines.empty(() => openLine(target, from, signal), signal);
  }
}

async function openLine(target: string, from: string, signal: AbortSignal): Promise<Line<string>> {
  const { hostname, port } = new URL(`tcp://${target}`);
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), localAddress: from, signal });
  const lost = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect', { signal });
  // What goes wrong later ends it, and shows in what is sent.
  socket.on('error', () => undefined);
  return {
    lost,
    send: (line) => new Promise((resolve, reject) => socket.write(line, (error) => (error ? reject(error) : resolve()))),
    [Symbol.asyncDispose]: async () => void socket.destroy(),
  };
}
