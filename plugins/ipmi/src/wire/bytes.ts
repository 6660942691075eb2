import { timingSafeEqual } from 'node:crypto';
import { failure } from '../errors.ts';

/** Reads a packet's fields in their order. Running out of bytes is SIDERO_IPMI_MALFORMED, naming the field. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  /** @param what the thing that is read, for the error's text: "RAKP message 2" */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  /** 16 bits, low byte first. */
  uint16(): number {
    const [low, high] = this.take(2);
    return low! | (high! << 8);
  }

  /** 32 bits, low byte first. */
  uint32(): number {
    const bytes = this.take(4);
    return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
  }

  /** A copy of the next `count` bytes. */
  take(count: number): Uint8Array {
    if (this.left < count) {
      throw failure('SIDERO_IPMI_MALFORMED', { problem: `${this.#what} ends after ${this.#bytes.length} bytes, ${this.#at + count} are needed` });
    }
    this.#at += count;
    return new Uint8Array(this.#bytes.subarray(this.#at - count, this.#at));
  }

  /** A copy of all that is left. */
  rest(): Uint8Array {
    return this.take(this.left);
  }
}

/** One array of all the parts; a number is one byte. */
export function join(...parts: readonly (number | Uint8Array)[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce<number>((sum, part) => sum + (typeof part === 'number' ? 1 : part.length), 0));
  let at = 0;
  for (const part of parts) {
    if (typeof part === 'number') joined[at++] = part;
    else {
      joined.set(part, at);
      at += part.length;
    }
  }
  return joined;
}

/** 16 bits, low byte first. */
export function uint16(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8);
}

/** 32 bits, low byte first. */
export function uint32(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

/** The text in UTF-8, cut or filled with zeros to `length` bytes. */
export function fixedText(text: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(Buffer.from(text, 'utf8').subarray(0, length));
  return bytes;
}

/** A fixed-length text up to its first zero. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}

/** The text with its length in front, as user names are sent and signed. */
export function lengthAndText(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  return join(bytes.length, bytes);
}

/** Compares codes without telling by the time it takes where they differ. */
export function isSameCode(given: Uint8Array, expected: Uint8Array): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}
