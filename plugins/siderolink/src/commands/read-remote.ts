import { once } from 'node:events';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { messageOf, SideroError } from '@sidero/core';
import type { LineSelection } from '../kept/read-kept-lines.ts';
import { failure } from '../errors.ts';

/** Where lines of a server are read from. */
export interface RemoteLines {
  /** Of the management listener: `https://localhost:8443`. */
  readonly from: string;
  /** `/logs/<uuid>`. */
  readonly path: string;
  /** Kubernetes token of who asks. */
  readonly token: string | undefined;
}

/** Writes the lines that a sidero elsewhere keeps to `output`. @throws SIDERO_LINES_UNREADABLE, and what it says there: SIDERO_LINES_ELSEWHERE, SIDERO_LINES_MISSING, … */
export async function readRemote(remote: RemoteLines, selection: LineSelection, output: Writable): Promise<void> {
  const url = urlOf(remote, selection);
  const answer = await ask(url, remote.token, selection.signal);
  if (answer.statusCode !== 200) throw refusalOf(answer.statusCode, (await text(answer)).trim(), url);
  try {
    for await (const chunk of answer) if (!output.write(chunk)) await once(output, 'drain');
  } catch (cause) {
    if (!selection.signal?.aborted) throw failure('SIDERO_LINES_UNREADABLE', { url: url.href, problem: messageOf(cause), cause });
  }
}

// What the other sidero says itself, as its terminal would show it; else that it cannot be read there.
function refusalOf(status: number | undefined, said: string, { href: url }: URL): SideroError {
  const [, code, message, next] = /^(SIDERO_\w+): (.+)\n\s*Next: (.+)$/.exec(said) ?? [];
  if (code && message && next) return new SideroError({ code, message, next, details: { url } });
  return failure('SIDERO_LINES_UNREADABLE', { url, problem: `${status} ${said.split('\n')[0] ?? ''}` });
}

function urlOf({ from, path }: RemoteLines, { since, boot, follow }: LineSelection): URL {
  const url = URL.canParse(from) ? new URL(path, from) : undefined;
  if (!url) throw failure('SIDERO_LINES_OPTION_INVALID', { option: '--from', value: from, expected: 'a URL such as https://localhost:8443' });
  if (since) url.searchParams.set('since', since.toISOString());
  if (boot !== undefined) url.searchParams.set('boot', String(boot));
  if (follow) url.searchParams.set('follow', 'true');
  return url;
}

async function ask(url: URL, token: string | undefined, signal: AbortSignal | undefined): Promise<IncomingMessage> {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  // The listener makes its certificate anew at each start, for nobody to verify: only what does not leave this machine goes without.
  const request =
    url.protocol === 'http:'
      ? requestHttp(url, { headers, ...(signal && { signal }) })
      : requestHttps(url, { headers, rejectUnauthorized: !isLoopback(url.hostname), ...(signal && { signal }) });
  request.end();
  try {
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    return answer;
  } catch (cause) {
    throw failure('SIDERO_LINES_UNREADABLE', { url: url.href, problem: messageOf(cause), cause });
  }
}

function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}
