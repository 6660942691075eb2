import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, request } from 'undici';

/** A finished or failed GET. */
export type HttpAnswer =
  | { readonly ok: true; readonly bytes: Uint8Array; readonly sizeBytes: number }
  | { readonly ok: false; readonly status: number; readonly problem: string };

export interface HttpDownload {
  readonly url: URL;
  /** The machine's connections. */
  readonly agent: Agent;
  /** False: only counted. Nobody runs the kernel of a simulated machine, and a hundred of them would need a gigabyte. */
  readonly keep: boolean;
  /** How fast the machine's link is; undefined: as fast as it comes. */
  readonly bytesPerSecond?: number | undefined;
  readonly onProgress?: (receivedBytes: number, totalBytes: number | undefined) => void;
}

/** iPXE follows this many redirections. */
const MAX_REDIRECTIONS = 5;

/** GET as iPXE does it: redirections followed, every other status than 200 a failure. @throws the reason of the signal */
export async function downloadByHttp(download: HttpDownload, signal: AbortSignal): Promise<HttpAnswer> {
  try {
    return await get(download, signal, MAX_REDIRECTIONS);
  } catch (thrown) {
    signal.throwIfAborted();
    return { ok: false, status: 0, problem: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

async function get(download: HttpDownload, signal: AbortSignal, redirections: number): Promise<HttpAnswer> {
  const {
    statusCode: status,
    headers,
    body,
  } = await request(download.url, {
    dispatcher: download.agent,
    headers: { 'user-agent': 'iPXE/1.21.1+' },
    signal,
  });
  const location = headers['location'];
  if (status >= 301 && status <= 308 && typeof location === 'string' && redirections > 0) {
    await body.dump();
    return await get({ ...download, url: new URL(location, download.url) }, signal, redirections - 1);
  }
  if (status !== 200) {
    const text = (await body.text()).slice(0, 200).trim();
    return { ok: false, status, problem: `status ${status}${text ? ` (${text})` : ''}` };
  }
  return await receive(download, body, { signal, totalBytes: Number(headers['content-length'] ?? Number.NaN) });
}

async function receive(download: HttpDownload, body: AsyncIterable<Buffer>, given: { signal: AbortSignal; totalBytes: number }): Promise<HttpAnswer> {
  const totalBytes = Number.isNaN(given.totalBytes) ? undefined : given.totalBytes;
  const startedMs = performance.now();
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (download.keep) chunks.push(chunk);
    download.onProgress?.(sizeBytes, totalBytes);
    const dueMs = download.bytesPerSecond ? startedMs + (sizeBytes / download.bytesPerSecond) * 1000 - performance.now() : 0;
    if (dueMs > 1) await delay(dueMs, undefined, { signal: given.signal });
  }
  if (totalBytes !== undefined && sizeBytes !== totalBytes) return { ok: false, status: 200, problem: `${sizeBytes} of ${totalBytes} bytes came` };
  return { ok: true, bytes: Buffer.concat(chunks), sizeBytes };
}
