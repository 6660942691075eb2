import { type FSWatcher, watch } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Segment, segmentName, segmentsIn } from './segment-name.ts';

/** Which of a server's lines. */
export interface LineSelection {
  /** Not before. */
  readonly since?: Date | undefined;
  /** 0: the last boot, -1 the one before; 1: the first that is kept. Default: all. */
  readonly boot?: number | undefined;
  /** Goes on with what comes, until `signal` aborts. */
  readonly follow?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A folder may not tell of its changes; then it is looked at so often. */
const LOOK_MS = 500;
const READ_BYTES = 256 * 1024;
/** The time at which a line came, and a space. */
const STAMP_LENGTH = '2026-11-29T19:38:00.123Z '.length;

/** The lines that are kept in a server's folder, the oldest first, several at a time. A folder that is not there holds none. */
export async function* readKeptLines(folder: string, selection: LineSelection = {}): AsyncGenerator<readonly string[]> {
  const { since, boot, follow = false, signal } = selection;
  using changes = follow ? new FolderChanges(folder) : undefined;
  let place = { number: 0, offset: 0 };
  let segments = chosen(await segmentsOf(folder), boot);
  for (;;) {
    for (const segment of segments) {
      if (segment.number !== place.number) place = { number: segment.number, offset: 0 };
      for await (const lines of linesOf(join(folder, segmentName(segment)), place)) yield linesSince(lines, since);
      if (signal?.aborted) return;
    }
    if (!changes) return;
    await changes.next(signal);
    if (signal?.aborted) return;
    segments = (await segmentsOf(folder)).filter(({ number }) => number >= place.number);
  }
}

async function segmentsOf(folder: string): Promise<Segment[]> {
  return segmentsIn(await readdir(folder).catch(() => []));
}

function chosen(segments: Segment[], boot: number | undefined): Segment[] {
  if (boot === undefined) return segments;
  const boots = [...new Set(segments.map((segment) => segment.boot))];
  const wanted = boot > 0 ? boots[boot - 1] : boots.at(boot - 1);
  return segments.filter((segment) => segment.boot === wanted);
}

// Whole lines from where it was left; remembers where it stops.
async function* linesOf(path: string, place: { offset: number }): AsyncGenerator<readonly string[]> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return;
  await using _closed = file;
  let buffer = Buffer.alloc(READ_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, place.offset);
    const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
    if (end === 0 && bytesRead < buffer.length) return;
    if (end === 0) {
      // A line that is longer than all of it.
      buffer = Buffer.alloc(2 * buffer.length);
      continue;
    }
    place.offset += end;
    yield buffer.toString('utf8', 0, end - 1).split('\n');
  }
}

function linesSince(lines: readonly string[], since: Date | undefined): readonly string[] {
  const from = since?.toISOString() ?? '';
  return lines.flatMap((line) => (line.slice(0, STAMP_LENGTH - 1) >= from ? line.slice(STAMP_LENGTH) : []));
}

/** Tells when a folder has changed since it was asked last. */
class FolderChanges implements Disposable {
  readonly #folder: string;
  #watcher: FSWatcher | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(folder: string) {
    this.#folder = folder;
    this.#watch();
  }

  async next(signal: AbortSignal | undefined): Promise<void> {
    const stop = new AbortController();
    const looked = delay(LOOK_MS, undefined, { signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal }).catch(() => undefined);
    await Promise.race([this.#changed.promise, looked]);
    stop.abort();
    this.#changed = Promise.withResolvers();
    if (!this.#watcher) this.#watch();
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#folder, () => this.#changed.resolve()).on('error', () => undefined);
    } catch {
      // Not there yet.
    }
  }
}
