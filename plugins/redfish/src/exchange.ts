import { setTimeout as pause } from 'node:timers/promises';
import { messageOf, orAborted, SideroError } from '@sidero/core';
import type { Dispatcher, Pool } from 'undici';
import { type BmcFailures, clauseOf } from './bmc-failures.ts';
import { errorTextOf } from './documents.ts';
import { pathWithin } from './service-place.ts';
import { UntrustedService } from './tls-connector.ts';

/** One request. */
export interface Ask {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Who waits for an answer. */
export interface Call {
  readonly failures: BmcFailures;
  readonly signal: AbortSignal;
}

/** An answer, whatever its status. */
export interface Reply {
  /** "GET /redfish/v1/Systems", for errors. */
  readonly asked: string;
  readonly status: number;
  readonly text: string;
  /** What the service says of an error, as a clause without secrets; may be empty. */
  told(): string;
  /** Value of a header; undefined when it is missing. */
  header(name: string): string | undefined;
}

/** The way to one service. */
export interface Line {
  readonly pool: Pool;
  readonly origin: string;
  /** Longest wait for one answer. */
  readonly timeoutMs: number;
  /** What must not be repeated from an answer. */
  readonly secrets: () => readonly string[];
  /** Longest that a service may make us wait by Retry-After, in all. */
  readonly patienceMs: number;
}

const MAX_BODY_BYTES = 4 * 1024 * 1024;
const MAX_ATTEMPTS = 5;
const BUSY = [429, 503];
const REDIRECTS = [301, 302, 303, 307, 308];

/**
 * Asks, and waits where a busy service says for how long. A GET follows one redirect within the service and is asked again once when the
 * connection breaks; nothing else is repeated.
 * @throws SIDERO_BMC_BUSY, SIDERO_BMC_FAULT, SIDERO_BMC_UNREACHABLE
 */
export async function exchange(line: Line, ask: Ask, call: Call): Promise<Reply> {
  const reply = await patiently(line, ask, call);
  if (!REDIRECTS.includes(reply.status)) return reply;
  const path = pathWithin(line.origin, reply.header('location') ?? '//');
  if (path === undefined) throw call.failures.fault(`${reply.asked}: it redirects to another host, which is refused`);
  if (ask.method !== 'GET') throw call.failures.fault(`${reply.asked}: it redirects, which is followed for reading only`);
  const followed = await patiently(line, { ...ask, path }, call);
  if (REDIRECTS.includes(followed.status)) throw call.failures.fault(`${reply.asked}: it redirects in circles`);
  return followed;
}

async function patiently(line: Line, ask: Ask, call: Call): Promise<Reply> {
  let patienceMs = line.patienceMs;
  for (let attempt = 1; ; attempt++) {
    const reply = await onceMore(line, ask, call);
    if (!BUSY.includes(reply.status)) return reply;
    const waitMs = retryAfterMs(reply, Date.now());
    if (waitMs === undefined || waitMs > patienceMs || attempt === MAX_ATTEMPTS) {
      throw call.failures.busy(`${reply.asked}: status ${reply.status}${waitMs === undefined ? '' : `, come back in ${Math.ceil(waitMs / 1000)} s`}`);
    }
    patienceMs -= waitMs;
    await pause(waitMs, undefined, { signal: call.signal }).catch(() => call.signal.throwIfAborted());
  }
}

/** How long a service asks us to wait; undefined when it does not say. */
export function retryAfterMs(reply: Pick<Reply, 'header'>, now: number): number | undefined {
  const text = reply.header('retry-after')?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const at = /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

async function onceMore(line: Line, ask: Ask, call: Call): Promise<Reply> {
  try {
    return await once(line, ask, call);
  } catch (thrown) {
    call.signal.throwIfAborted();
    if (ask.method === 'GET' && isBroken(thrown))
      return once(line, ask, call).catch((again: unknown) => rethrow(again, { asked: askedOf(ask, line.secrets()), ...call }));
    return rethrow(thrown, { asked: askedOf(ask, line.secrets()), ...call });
  }
}

// A path is of the service's making: it may be long, and hold what the service was sent.
const askedOf = ({ method, path }: Ask, secrets: readonly string[]) => `${method} ${clauseOf(decoded(path), secrets)}`;

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

// A service closes what was idle for too long, and that may cross our request.
const isBroken = (thrown: unknown) => ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(thrown));

const codeOf = (thrown: unknown) => (thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '');

function rethrow(thrown: unknown, { asked, failures, signal }: Call & { readonly asked: string }): never {
  signal.throwIfAborted();
  if (thrown instanceof SideroError) throw thrown;
  if (thrown instanceof UntrustedService) throw failures.fault(thrown.message);
  if (/^(ERR_SSL_|ERR_TLS_|EPROTO)/.test(codeOf(thrown))) throw failures.fault(`TLS: ${clauseOf(messageOf(thrown), [])}`, thrown);
  throw failures.unreachable(`${asked}: ${clauseOf(messageOf(thrown), [])}`, thrown);
}

async function once({ pool, timeoutMs, secrets }: Line, ask: Ask, { failures, signal }: Call): Promise<Reply> {
  const { method, path, body, headers } = ask;
  const asked = askedOf(ask, secrets());
  const inTime = AbortSignal.timeout(timeoutMs);
  const either = AbortSignal.any([signal, inTime]);
  try {
    const request = pool.request({
      method,
      path,
      headers: { accept: 'application/json', 'odata-version': '4.0', ...(body && { 'content-type': 'application/json' }), ...headers },
      ...(body && { body: JSON.stringify(body) }),
      signal: either,
    });
    // undici heeds a signal only once it is connected, and a service may take a connection and be silent in the handshake.
    const answer = await orAborted(request, either);
    const text = await textOf(answer);
    if (text === undefined) throw failures.fault(`${asked}: an answer of more than ${MAX_BODY_BYTES} bytes`);
    const told = () => clauseOf(errorTextOf(text), secrets());
    return { asked, status: answer.statusCode, text, told, header: (name) => [answer.headers[name]].flat()[0] };
  } catch (thrown) {
    signal.throwIfAborted();
    throw inTime.aborted ? failures.unreachable(`${asked}: no whole answer in ${timeoutMs} ms`, thrown) : thrown;
  }
}

/** The body as text; undefined when it is too long. */
async function textOf({ body }: Dispatcher.ResponseData): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    // Leaving the loop ends the connection.
    if (size > MAX_BODY_BYTES) return undefined;
    parts.push(bytes);
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}
