import { appendFile, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { markOf, type Segment, segmentName, segmentsIn } from './segment-name.ts';

/** Files that the lines of a machine are spread over, so that the oldest can go. */
const SEGMENTS = 8;
const NEWLINE = 0x0a;

interface Pending {
  readonly key: string;
  readonly text: string;
}

type Written = Segment & { bytes: number; readonly isTorn?: boolean };

/** The lines that are kept of one machine. */
export class Shelf {
  readonly #folder: string;
  readonly #bytes: number;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #segments: Written[] | undefined;
  /** The key it last had, and its mark. */
  #key: string | undefined;
  #mark = '';

  /** Keeps about `bytes` in `folder`. */
  constructor(folder: string, bytes: number) {
    this.#folder = folder;
    this.#bytes = bytes;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  add(key: string, text: string): void {
    this.#pending.push({ key, text });
    this.#pendingBytes += text.length;
  }

  /** Writes what is pending; what comes meanwhile waits. Gives how many lines were lost, and why, when the disk does not take them. */
  async flush(): Promise<{ readonly lost: number; readonly cause?: unknown }> {
    const batch = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    let done = 0;
    try {
      this.#segments ??= await this.#known();
      while (done < batch.length) done += await this.#write(batch, done);
      await this.#forget();
      return { lost: 0 };
    } catch (cause) {
      // Looked at anew: whatever is there is there.
      this.#segments = undefined;
      return { lost: batch.length - done, cause };
    }
  }

  async #known(): Promise<Written[]> {
    // What machines say is not for everybody on this host.
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const segments = segmentsIn(await readdir(this.#folder));
    return Promise.all(segments.map((segment) => this.#look(segment)));
  }

  async #look(segment: Segment): Promise<Written> {
    await using file = await open(this.#path(segment), 'r');
    const { size: bytes } = await file.stat();
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, bytes - 1));
    // After a crash it may end in the middle of a line; nothing is written behind that.
    return { ...segment, bytes, isTorn: bytes > 0 && buffer[0] !== NEWLINE };
  }

  // As many lines as belong into one file; gives their number.
  async #write(batch: readonly Pending[], from: number): Promise<number> {
    const { key } = batch[from]!;
    const segment = this.#segmentFor(key);
    const limit = this.#bytes / SEGMENTS;
    let text = '';
    let end = from;
    while (end < batch.length && batch[end]!.key === key && segment.bytes + text.length < limit) text += batch[end++]!.text;
    await appendFile(this.#path(segment), text);
    segment.bytes += Buffer.byteLength(text);
    return end - from;
  }

  #segmentFor(key: string): Written {
    const last = this.#segments!.at(-1);
    const mark = this.#markOf(key);
    const isSameBoot = last?.mark === mark;
    if (last && isSameBoot && !last.isTorn && last.bytes < this.#bytes / SEGMENTS) return last;
    const boot = isSameBoot ? last.boot : (last?.boot ?? 0) + 1;
    const segment: Written = { boot, mark, number: (last?.number ?? 0) + 1, bytes: 0 };
    this.#segments!.push(segment);
    return segment;
  }

  #markOf(key: string): string {
    if (this.#key !== key) this.#mark = markOf(key);
    this.#key = key;
    return this.#mark;
  }

  async #forget(): Promise<void> {
    const segments = this.#segments!;
    let total = segments.reduce((sum, { bytes }) => sum + bytes, 0);
    while (total > this.#bytes && segments.length > 1) {
      const oldest = segments.shift()!;
      total -= oldest.bytes;
      await rm(this.#path(oldest), { force: true });
    }
  }

  #path(segment: Segment): string {
    return join(this.#folder, segmentName(segment));
  }
}
