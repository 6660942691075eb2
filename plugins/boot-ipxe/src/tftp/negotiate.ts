import { posix } from 'node:path';
import type { TftpOptions } from './packet.ts';

/** How one transfer goes, and what the OACK tells the client of it (nothing: no OACK). */
export interface TransferTerms {
  readonly blockSize: number;
  /** Blocks that are sent before an ACK is due (RFC 7440). */
  readonly windowSize: number;
  /** Wait before a retransmission, when the client asked for one. */
  readonly timeoutMs: number | undefined;
  readonly answer: TftpOptions;
}

/** The terms for a file of `sizeBytes` under our limits; options that are unknown or out of range are left out of the answer. */
export function negotiate(
  options: TftpOptions,
  sizeBytes: number,
  limits: { readonly maxBlockSize: number; readonly maxWindowSize: number },
): TransferTerms {
  const answer = new Map<string, string>();
  const agreed = (name: string, range: readonly [number, number], cap: number): number | undefined => {
    const asked = wholeNumber(options.get(name));
    if (asked === undefined || asked < range[0] || asked > range[1]) return undefined;
    const value = Math.min(asked, cap);
    answer.set(name, String(value));
    return value;
  };
  // RFC 2348 and 7440 allow the server a smaller value, RFC 2349 only the same time-out.
  const blockSize = agreed('blksize', [8, 65464], limits.maxBlockSize);
  const windowSize = agreed('windowsize', [1, 65535], limits.maxWindowSize);
  const timeoutS = agreed('timeout', [1, 255], 255);
  // curl takes a size of 0 for a fault.
  if (options.has('tsize') && sizeBytes > 0) answer.set('tsize', String(sizeBytes));
  return { blockSize: blockSize ?? 512, windowSize: windowSize ?? 1, timeoutMs: timeoutS === undefined ? undefined : timeoutS * 1000, answer };
}

/** The name of a boot file as a request means it: without leading `/`, `.` and `..` resolved, never above the root. */
export function cleanPath(path: string): string {
  return posix.normalize(`/${path}`).replace(/^\/+|\/+$/g, '');
}

/** Text for a netascii transfer (RFC 764): LF becomes CR LF, a bare CR becomes CR NUL. */
export function toNetascii(bytes: Uint8Array): Uint8Array {
  const [LF, CR] = [10, 13];
  const text = Buffer.allocUnsafe(bytes.length * 2);
  let length = 0;
  for (const byte of bytes) {
    if (byte === LF) text[length++] = CR;
    text[length++] = byte;
    if (byte === CR) text[length++] = 0;
  }
  return text.subarray(0, length);
}

function wholeNumber(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}
