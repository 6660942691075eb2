import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { LogLine } from './world.ts';

/** How long a management plane may be away before it is asked again. */
const AGAIN_MS = 250;

/** The kernel logs of all machines, from the socket on which a management plane tells them. */
export class LogSocket {
  readonly #path: string;
  readonly #listeners = new Set<(line: LogLine) => void>();

  /** Follows it until the signal aborts. */
  constructor(path: string, signal: AbortSignal) {
    this.#path = path;
    void this.#follow(signal);
  }

  onLine(listener: (line: LogLine) => void): void {
    this.#listeners.add(listener);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Nobody is there, or no longer.
      await this.#read(signal).catch(() => undefined);
      await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const socket = connect({ path: this.#path, signal });
    await once(socket, 'connect');
    for await (const line of createInterface({ input: socket })) this.#tell(line);
  }

  #tell(line: string): void {
    const { server_uuid: uuid, msg = '' } = JSON.parse(line) as { server_uuid?: string; msg?: string };
    if (uuid === undefined) return;
    for (const listener of this.#listeners) listener({ uuid, text: msg.split('\n', 1)[0]! });
  }
}
