import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Logger, type Metrics, messageOf } from '@sidero/core';
import { Shelf } from './shelf.ts';

/** What lines are kept with. */
export interface KeptLinesOptions {
  /** Holds a folder for each server. */
  readonly folder: string;
  /** Of each server. */
  readonly bytesEach: number;
  /** What they are, for log and metrics: "kernel log". */
  readonly what: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How long lines are gathered before they are written together. Default 20 ms. */
  readonly gatherMs?: number;
}

/** A line of a server, as it is kept. */
export interface KeptLine {
  readonly uuid: string;
  /** Tells boots of the machine apart. */
  readonly key: string;
  readonly line: string;
  readonly at: Date;
}

const GATHER_MS = 20;
/** Servers that are written at once. */
const AT_ONCE = 4;
/** Of one server: with more to be written, who sends it waits; with still more it is lost. */
const WAIT_BYTES = 1024 * 1024;
const MOST_BYTES = 4 * 1024 * 1024;
/** A disk that is slow holds a machine no longer. */
const WAIT_MS = 1000;
const TELL_MS = 60_000;

/** The last lines of each server, on disk: kept over restarts, and never waited for by the event loop. */
export class KeptLines {
  readonly #options: KeptLinesOptions;
  readonly #shelves = new Map<string, Shelf>();
  readonly #due = new Set<string>();
  readonly #lost: (labels: Record<string, string>, by: number) => void;
  #flushing: Promise<void> | undefined;
  #waiting: Promise<void> | undefined;
  #toldMs = -Infinity;
  /** All lines of one read have the same time. */
  #stamp: { readonly at: Date; readonly text: string } | undefined;

  constructor(options: KeptLinesOptions) {
    this.#options = options;
    this.#lost = options.metrics.counter('sidero_kept_lines_lost_total', 'Lines that the disk did not take.', ['what']);
  }

  /** Keeps a line. A promise: the disk is behind, and nothing more should come before it settles. */
  add({ uuid, key, line, at }: KeptLine): Promise<void> | undefined {
    const shelf = this.#shelf(uuid);
    if (shelf.pendingBytes > MOST_BYTES) {
      this.#lost({ what: this.#options.what }, 1);
      return undefined;
    }
    if (this.#stamp?.at !== at) this.#stamp = { at, text: at.toISOString() };
    shelf.add(key, `${this.#stamp.text} ${line}\n`);
    this.#due.add(uuid);
    this.#flushing ??= this.#flushSoon();
    return shelf.pendingBytes > WAIT_BYTES ? this.#room(this.#flushing) : undefined;
  }

  /** Resolves once what was added of a server is written, or the disk takes longer than anybody should wait. */
  async written(uuid: string): Promise<void> {
    const writing = async (): Promise<void> => {
      await this.#flushing;
      // It came when the others were being written already.
      if (this.#due.has(uuid)) await this.#flushing;
    };
    await Promise.race([writing(), delay(WAIT_MS, undefined, { ref: false })]);
  }

  /** Resolves once everything that was added is written. */
  async settled(): Promise<void> {
    while (this.#flushing) await this.#flushing;
  }

  /** Removes everything of a server that is gone; never rejects. */
  async remove(uuid: string): Promise<void> {
    await this.written(uuid);
    this.#shelves.delete(uuid);
    const { folder, log } = this.#options;
    await rm(join(folder, uuid), { recursive: true, force: true }).catch((cause: unknown) => {
      log.warn({ server: uuid, folder, reason: messageOf(cause) }, 'what was kept of a server that is gone cannot be removed');
    });
  }

  /** Servers of which something is kept. */
  async servers(): Promise<readonly string[]> {
    return readdir(this.#options.folder).catch(() => []);
  }

  #room(flushing: Promise<void>): Promise<void> {
    this.#waiting ??= Promise.race([flushing, delay(WAIT_MS, undefined, { ref: false })]).finally(() => (this.#waiting = undefined));
    return this.#waiting;
  }

  #shelf(uuid: string): Shelf {
    const known = this.#shelves.get(uuid);
    if (known) return known;
    const shelf = new Shelf(join(this.#options.folder, uuid), this.#options.bytesEach);
    this.#shelves.set(uuid, shelf);
    return shelf;
  }

  async #flushSoon(): Promise<void> {
    await delay(this.#options.gatherMs ?? GATHER_MS);
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#flushOthers()));
    this.#flushing = this.#due.size > 0 ? this.#flushSoon() : undefined;
  }

  async #flushOthers(): Promise<void> {
    const round = [...this.#due];
    for (const uuid of round) {
      if (!this.#due.delete(uuid)) continue;
      const { lost, cause } = await this.#shelf(uuid).flush();
      if (lost > 0) this.#tellLost(lost, cause);
    }
  }

  // A full disk is full for every line.
  #tellLost(lost: number, cause: unknown): void {
    const { what, folder, log } = this.#options;
    this.#lost({ what }, lost);
    if (performance.now() - this.#toldMs < TELL_MS) return;
    this.#toldMs = performance.now();
    log.error({ folder, lost, reason: messageOf(cause) }, `the disk does not take lines of the ${what}; they still go to all who listen`);
  }
}
