/** The longest record that is read, bytes. The kernel's own limit is 8 KiB, of which escapes make up to six times as much. */
export const RECORD_LIMIT = 65_536;

/** Why bytes were passed over: no JSON object; longer than RECORD_LIMIT; the connection ended in the middle of it. */
export type Waste = 'syntax' | 'oversize' | 'cut';

/** What a splitter tells. */
export interface SplitterEvents {
  /** Takes a record as text; false: it is none after all. */
  record(text: string): boolean;
  waste(why: Waste): void;
}

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const NOTHING = Buffer.alloc(0);
const isSpace = (byte: number | undefined) => byte === 0x20 || byte === NEWLINE || byte === 0x0d || byte === 0x09;

/**
 * Cuts what a connection carries into JSON objects, one a line or one after another. What is none is passed over up to where the next one
 * begins: behind the line break, or at a brace that cannot belong to what came before. Holds RECORD_LIMIT bytes, whatever comes.
 */
export class RecordSplitter {
  readonly #events: SplitterEvents;
  #rest = NOTHING;
  /** Passing everything over up to the end of the line. */
  #isLost = false;
  /** Into `#rest`; 0 where a record begins. The four after it only count beyond 0. */
  #looked = 0;
  #isText = false;
  #isEscaped = false;
  /** Last byte outside texts that is no space. */
  #previous = 0;
  /** What is open, outermost first. */
  #open: number[] = [];

  constructor(events: SplitterEvents) {
    this.#events = events;
  }

  /** Whether a record has begun and not ended. */
  get isAmid(): boolean {
    return this.#rest.length > 0;
  }

  push(chunk: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    while (at < data.length) {
      const next = this.#next(data, at);
      if (next === undefined) break;
      at = next;
    }
    data = data.subarray(at);
    // A copy: what is kept must not keep the whole chunk.
    this.#rest = data.length > 0 ? Buffer.from(data) : NOTHING;
  }

  /** The connection has ended. */
  end(): void {
    if (this.isAmid) this.#events.waste('cut');
    this.#restart();
    this.#rest = NOTHING;
  }

  // Where to go on, having dealt with one thing; undefined when it is not all there.
  #next(data: Buffer, at: number): number | undefined {
    if (this.#isLost) return this.#skipLine(data, at);
    if (this.#looked > 0) return this.#scan(data, at);
    if (isSpace(data[at])) return at + 1;
    if (data[at] === OPEN_OBJECT) return this.#wholeLine(data, at) ?? this.#scan(data, at);
    if (data[at] === OPEN_LIST) return this.#scan(data, at);
    return this.#waste('syntax', { data, at });
  }

  // Nearly always a record is a line.
  #wholeLine(data: Buffer, at: number): number | undefined {
    const end = data.indexOf(NEWLINE, at);
    if (end < 0 || end - at > RECORD_LIMIT) return undefined;
    return this.#events.record(data.toString('utf8', at, end)) ? end + 1 : undefined;
  }

  #skipLine(data: Buffer, at: number): number {
    const end = data.indexOf(NEWLINE, at);
    this.#isLost = end < 0;
    return end < 0 ? data.length : end + 1;
  }

  #waste(why: Waste, { data, at }: { data: Buffer; at: number }): number {
    this.#events.waste(why);
    this.#restart();
    return this.#skipLine(data, at);
  }

  // Goes through a record byte by byte, from where it was left.
  #scan(data: Buffer, from: number): number | undefined {
    const limit = Math.min(data.length, from + RECORD_LIMIT);
    for (let at = from + this.#looked; at < limit; at++) {
      const byte = data[at]!;
      if (this.#isText) {
        if (byte === NEWLINE) return this.#waste('syntax', { data, at });
        this.#inText(byte);
      } else if (byte === OPEN_OBJECT && at > from && !this.#mayBegin()) {
        this.#events.waste('syntax');
        this.#restart();
        return at;
      } else if (this.#outsideText(byte)) return this.#whole(data, from, at + 1);
    }
    this.#looked = limit - from;
    return this.#looked < RECORD_LIMIT ? undefined : this.#waste('oversize', { data, at: limit });
  }

  #inText(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#isText = false;
  }

  // True at the end of the record.
  #outsideText(byte: number): boolean {
    if (byte === QUOTE) this.#isText = true;
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#open.push(byte);
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) this.#open.pop();
    if (!isSpace(byte)) this.#previous = byte;
    return this.#open.length === 0;
  }

  // Whether an object may begin here, inside of what is open.
  #mayBegin(): boolean {
    if (this.#open.at(-1) === OPEN_OBJECT) return this.#previous === COLON;
    return this.#previous === COMMA || this.#previous === OPEN_LIST;
  }

  #whole(data: Buffer, from: number, end: number): number {
    this.#restart();
    if (!this.#events.record(data.toString('utf8', from, end))) this.#events.waste('syntax');
    return end;
  }

  #restart(): void {
    this.#looked = 0;
    this.#isText = false;
    this.#isEscaped = false;
    this.#previous = 0;
    this.#open = [];
  }
}
