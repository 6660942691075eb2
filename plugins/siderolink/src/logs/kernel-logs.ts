import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { clientAddress, failure, type Logger, type MachineNames, type Metrics } from '@sidero/core';
import type { LinkListener, LinkPlace } from '../link.ts';
import type { LiveDirectory } from '../machines/live-directory.ts';
import type { LinkedMachine } from '../machines/linked-machine.ts';
import { MachineConnections } from '../machines/machine-connections.ts';
import { type Annotate, createAnnotate } from './annotated-line.ts';
import { type LogMeters, logMeters } from './log-meters.ts';
import { RecordSplitter } from './record-splitter.ts';

/** A record of a machine's kernel log. */
export interface LogRecord {
  /** Undefined: in the tunnel, and nobody that is known. */
  readonly machine: LinkedMachine | undefined;
  /** One JSON object, no line break. */
  readonly line: string;
  readonly at: Date;
}

/** What the listener works with. */
export interface KernelLogOptions {
  readonly port: number;
  readonly directory: LiveDirectory;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Takes each record, in the order of its connection. A promise: nothing more is read of that machine before it settles. */
  take(record: LogRecord): Promise<void> | undefined;
  /** Connections of one machine at once; of more the oldest is closed. A machine that boots anew leaves one behind. Default 4. */
  readonly connectionsEach?: number;
  /** A record that was begun must be whole by then, else its connection is closed. Default 30 s. */
  readonly recordMs?: number;
  /** A connection on which nothing came for so long is closed. Default 24 h: kernels may be silent for long, and whoever is gone is told by TCP. */
  readonly idleMs?: number;
}

/** Of all machines. */
const MAX_CONNECTIONS = 16_384;
/** How long the API is asked who somebody is before his log is read without names. Talos gives a write up after 5 s. */
const ASK_MS = 2000;
const NOBODY: MachineNames = {};

/** Takes kernel logs as Talos sends them: JSON objects over TCP. Who it is, is told by the address in the tunnel, and by nothing else. */
export function kernelLogs(given: KernelLogOptions): LinkListener {
  const meters = logMeters(given.metrics);
  const options: SenderOptions = { ...given, meters, annotate: createAnnotate() };
  const { connectionsEach: each = 4, idleMs = 24 * 3_600_000 } = given;
  const connections = new MachineConnections({ each, idleMs, onClose: meters.refused, onCount: meters.connections });
  return {
    name: 'kernel logs',
    port: given.port,
    portOf: (address) => connections.portOf(address),
    async serve(place, signal, ready) {
      const server = createServer({ keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) => accept(socket, { place, connections, options }));
      server.maxConnections = MAX_CONNECTIONS;
      server.on('drop', () => meters.refused('limit'));
      await listening(server, place, given.port);
      const end = once(server, 'close');
      const close = (): void => {
        server.close();
        connections.closeAll();
      };
      given.directory.onLeave((address) => connections.closeOf(address), signal);
      signal.addEventListener('abort', close, { once: true });
      if (signal.aborted) close();
      else ready();
      await end;
    },
  };
}

async function listening(server: Server, { host }: LinkPlace, port: number): Promise<void> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw failure('SIDERO_LISTEN_FAILED', { what: 'the receiver of kernel logs', address: `${host}:${port}`, cause });
  }
}

// Takes a connection, if it is from the tunnel.
function accept(socket: Socket, { place, connections, options }: Accepting): void {
  // A reset by the machine is no event of ours; the close that follows is.
  socket.on('error', () => undefined);
  const address = clientAddress(socket.remoteAddress ?? '');
  if (!place.isMachine(address)) {
    options.meters.refused('stranger');
    socket.destroy();
    return;
  }
  connections.add(address, socket);
  place.connected?.();
  void new Sender(address, socket, options).read();
}

interface Accepting {
  readonly place: LinkPlace;
  readonly connections: MachineConnections;
  readonly options: SenderOptions;
}

type SenderOptions = KernelLogOptions & { readonly meters: LogMeters; readonly annotate: Annotate };

/** What one connection sends. */
class Sender {
  readonly #address: string;
  readonly #socket: Socket;
  readonly #options: SenderOptions;
  readonly #splitter: RecordSplitter;
  #machine: LinkedMachine | undefined;
  #at = new Date();
  #lines = 0;
  #wait: Promise<void> | undefined;
  #isTold = false;

  constructor(address: string, socket: Socket, options: SenderOptions) {
    this.#address = address;
    this.#socket = socket;
    this.#options = options;
    this.#splitter = new RecordSplitter({ record: (text) => this.#take(text), waste: (why) => this.#wasted(why) });
  }

  /** Reads until the connection ends; never rejects. */
  async read(): Promise<void> {
    const { directory, log, meters, recordMs = 30_000 } = this.#options;
    // Its binding may be younger than what is known here. When nobody can tell, the log still comes, without names.
    const asked = directory.findMachine(this.#address).catch(() => undefined);
    await Promise.race([asked, delay(ASK_MS, undefined, { ref: false })]);
    const late = (): void => {
      if (!this.#socket.destroyed) meters.wasted('late');
      this.#socket.destroy();
    };
    let patience: NodeJS.Timeout | undefined;
    try {
      for await (const chunk of this.#socket as AsyncIterable<Buffer>) {
        this.#read(chunk);
        // From where the record began: one byte now and then does not make it younger.
        if (!this.#splitter.isAmid || this.#lines > 0) clearTimeout(patience);
        if (!this.#splitter.isAmid) patience = undefined;
        else if (!patience || this.#lines > 0) patience = setTimeout(late, recordMs);
        await this.#wait;
        this.#wait = undefined;
      }
    } catch (thrown) {
      log.debug({ address: this.#address, err: thrown }, 'a connection of kernel logs broke');
    } finally {
      clearTimeout(patience);
      this.#splitter.end();
    }
  }

  #read(chunk: Buffer): void {
    const { directory, meters } = this.#options;
    this.#machine = directory.machineAt(this.#address);
    this.#at = new Date();
    this.#lines = 0;
    this.#splitter.push(chunk);
    meters.read(this.#lines, chunk.length);
  }

  #take(text: string): boolean {
    const machine = this.#machine;
    const line = this.#options.annotate(text, machine?.names ?? NOBODY);
    if (line === undefined) return false;
    this.#lines++;
    this.#wait = this.#options.take({ machine, line, at: this.#at }) ?? this.#wait;
    return true;
  }

  // Once a connection in the log: who sends rubbish sends much of it. All of it is counted.
  #wasted(why: Parameters<LogMeters['wasted']>[0]): void {
    const { log, meters } = this.#options;
    meters.wasted(why);
    if (this.#isTold) return;
    this.#isTold = true;
    log.warn(
      { server: this.#machine?.uuid, address: this.#address, why },
      'what a machine sent as a record of its kernel log is none; it is left out',
    );
  }
}
