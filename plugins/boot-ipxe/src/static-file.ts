import { Readable } from 'node:stream';
import type { Sidero } from '@sidero/core';
import type { TransferEvents } from './transfer-events.ts';

/** What a handler of an HTTP route is called with. */
export type HttpContext = Parameters<Parameters<Sidero['http']['route']>[2]>[0];

/** A file that is served over HTTP. */
export interface StaticFile {
  readonly sizeBytes: number;
  readonly modified?: Date;
  /** Changes with the content; without quotes. */
  readonly etag: string;
  /** The bytes from `start` up to, not including, `end`. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The part of a file that a `Range` header asks for, `end` not included. The whole file for none, for several ranges and for units
 * other than bytes, as RFC 9110 allows; undefined for a range outside of the file.
 */
export function byteRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? [];
  if (first === '' && last === '') return { start: 0, end: sizeBytes };
  if (first === '') return Number(last) === 0 || sizeBytes === 0 ? undefined : { start: Math.max(0, sizeBytes - Number(last)), end: sizeBytes };
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== '' && Number(last) < Number(first)) return { start: 0, end: sizeBytes };
  return Number(first) < sizeBytes ? { start: Number(first), end } : undefined;
}

/** Answers GET and HEAD for a file: conditional, partial or whole. Closes the file. */
export async function answerFile(context: HttpContext, file: StaticFile, events: TransferEvents): Promise<void> {
  const etag = `"${file.etag}"`;
  context.set({ 'Accept-Ranges': 'bytes', ETag: etag });
  if (file.modified) context.lastModified = file.modified;
  context.type = 'application/octet-stream';
  const isSame =
    !context.headers['if-range'] || context.headers['if-range'] === etag || context.headers['if-range'] === context.response.get('Last-Modified');
  const range = byteRange(isSame ? context.get('Range') : undefined, file.sizeBytes);
  context.status = !range ? 416 : range.end - range.start < file.sizeBytes ? 206 : 200;
  if (context.status === 200 && context.fresh) context.status = 304;
  if (!range) context.set('Content-Range', `bytes */${file.sizeBytes}`);
  if (range && context.status === 206) context.set('Content-Range', `bytes ${range.start}-${range.end - 1}/${file.sizeBytes}`);
  if (!range || context.status === 304 || context.method === 'HEAD') {
    if (range) context.length = range.end - range.start;
    return file.close();
  }
  // Koa drops the length with the body of another kind: the body comes first.
  const body = Readable.from(send(file, range, events), { objectMode: false });
  // Here and not in `send`, which does not even begin for a client that leaves before the first byte.
  body.once('close', () => void file.close().catch(() => undefined));
  context.body = body;
  context.length = range.end - range.start;
}

async function* send(file: StaticFile, range: ByteRange, events: TransferEvents): AsyncGenerator<Uint8Array> {
  const total = range.end - range.start;
  let sent = 0;
  try {
    events.sent(0, total);
    for await (const chunk of file.read(range.start, range.end)) {
      yield chunk;
      sent += chunk.length;
      events.sent(sent, total);
    }
  } finally {
    events.end(sent === total ? 'done' : 'failed');
  }
}
