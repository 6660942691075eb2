import { once } from 'node:events';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { failure, type Logger, type Metrics } from '@sidero/core';
import { answers } from './answers.ts';

/** What a socket is opened with. */
export interface LineSocketOptions {
  readonly path: string;
  /** What its lines are: "kernel logs". */
  readonly what: string;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What one reader may be behind by; then it misses lines. */
const MOST_BEHIND = 4 * 1024 * 1024;
/** Of what came while nobody read: what reads next gets that first. */
const BACKLOG = 1024 * 1024;
/** Kernels cut longer paths. */
const LONGEST_PATH = 103;
const AGAIN_MS = 500;
/** How long a reader that does not read is waited for at the end. */
const GRACE_MS = 500;

/** A Unix socket that tells lines to whoever is connected. Nobody waits for a reader. */
export class LineSocket {
  readonly #options: LineSocketOptions;
  readonly #missed: (labels: Record<string, string>, by: number) => void;
  readonly #readers = new Set<Socket>();
  #lines: string[] = [];
  #backlog: string[] = [];
  #backlogBytes = 0;

  constructor(options: LineSocketOptions) {
    this.#options = options;
    this.#missed = options.metrics.counter('sidero_line_socket_missed_total', 'Lines that a reader of a socket was too slow for.', ['what']);
  }

  write(line: string): void {
    if (this.#lines.length === 0) setImmediate(() => this.#flush());
    this.#lines.push(line);
  }

  /** Serves until the signal aborts. While another process still serves there, it waits for its end. @throws SIDERO_LISTEN_FAILED */
  async run(signal: AbortSignal, ready: () => void = () => undefined): Promise<void> {
    const { path, what, log } = this.#options;
    if (Buffer.byteLength(path) > LONGEST_PATH) {
      log.warn({ path }, `the path is too long for a socket: there is no stream of ${what} for other processes; give a shorter dataDir`);
      return;
    }
    // Ours alone, unless it was there, shared with containers that run as somebody else.
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await untilFree(this.#options, signal);
    if (signal.aborted) return;
    const server = createServer((reader) => this.#accept(reader));
    await listening(server, this.#options);
    // Readers in containers of their own share the group of the folder, and nothing else.
    await chmod(path, 0o660);
    const end = once(server, 'close');
    const close = (): void => {
      this.#flush();
      server.close();
      for (const reader of this.#readers) reader.end();
      setTimeout(() => this.#readers.forEach((reader) => reader.destroy()), GRACE_MS).unref();
    };
    signal.addEventListener('abort', close, { once: true });
    if (signal.aborted) close();
    else ready();
    await end;
  }

  #accept(reader: Socket): void {
    // Nothing is asked for; who only half-closes still listens.
    reader.on('error', () => undefined).resume();
    reader.once('close', () => this.#readers.delete(reader));
    this.#readers.add(reader);
    if (this.#backlog.length === 0) return;
    reader.write(textOf(this.#backlog));
    this.#backlog = [];
    this.#backlogBytes = 0;
  }

  #flush(): void {
    const lines = this.#lines;
    if (lines.length === 0) return;
    this.#lines = [];
    if (this.#readers.size === 0) return this.#keep(lines);
    const text = textOf(lines);
    for (const reader of this.#readers) {
      if (reader.writableLength < MOST_BEHIND) reader.write(text);
      else this.#missed({ what: this.#options.what }, lines.length);
    }
  }

  #keep(lines: readonly string[]): void {
    for (const line of lines) {
      this.#backlog.push(line);
      this.#backlogBytes += line.length;
    }
    let gone = 0;
    while (this.#backlogBytes > BACKLOG) this.#backlogBytes -= this.#backlog[gone++]!.length;
    if (gone > 0) this.#backlog = this.#backlog.slice(gone);
  }
}

const textOf = (lines: readonly string[]) => `${lines.join('\n')}\n`;

async function untilFree({ path, what, log }: LineSocketOptions, signal: AbortSignal): Promise<void> {
  for (let isTold = false; (await answers(path)) && !signal.aborted; isTold = true) {
    if (!isTold) log.warn({ path }, `another sidero still serves the stream of ${what} there; waiting for its end`);
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
  // Left behind by a process that was killed.
  if (!signal.aborted) await rm(path, { force: true });
}

async function listening(server: Server, { what, path }: LineSocketOptions): Promise<void> {
  server.listen(path);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw failure('SIDERO_LISTEN_FAILED', { what, address: path, cause });
  }
}
