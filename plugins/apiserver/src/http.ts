import { createHash, timingSafeEqual } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Logger, messageOf, SideroError } from '@sidero/core';
import { type Answer, type Exchange, type Handler, send } from './exchange.ts';
import { failure } from './errors.ts';
import { ApiError, badRequest, internalError, unknownPath } from './status.ts';

/** What the listener needs to know. */
export interface HttpOptions {
  readonly address: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly certificate: { readonly certPem: string; readonly keyPem: string };
  /** True for the bearer token that may do everything. */
  readonly isToken: (token: string) => boolean;
  readonly log: Logger | undefined;
}

/** The running listener. */
export interface HttpServer {
  readonly port: number;
  /** Takes a new certificate for new connections. */
  renew(certificate: HttpOptions['certificate']): void;
  /** Ends watches, lets answers finish for up to a second, then closes every connection. */
  close(): Promise<void>;
}

/** Connections beyond this are closed at once; each holds a file and TLS state. */
const MAX_CONNECTIONS = 4000;

/** Time to send the request's head, in ms. */
const HEADERS_TIMEOUT_MS = 10_000;

/** Time to send a whole request, in ms. */
const REQUEST_TIMEOUT_MS = 60_000;

/** Go's clients keep idle connections for 90 s; closing them earlier would race with their next request. */
const KEEP_ALIVE_MS = 120_000;

/** How often one failure is logged. */
const AGAIN_MS = 60_000;

const DRAIN_MS = 1000;
const IDLE_CHECK_MS = 10;

/** Paths anybody may read. */
const PUBLIC = new Set(['/healthz', '/livez', '/readyz', '/version']);

/** Compares in a time that does not depend on the content. */
export function sameToken(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

/** Listens with TLS and hands authorised requests to `handlers`, the first that answers wins. */
export async function serveHttp(options: HttpOptions, handlers: readonly Handler[]): Promise<HttpServer> {
  const closing = new AbortController();
  // Every open watch listens to it.
  setMaxListeners(0, closing.signal);
  const server = createServer({
    cert: options.certificate.certPem,
    key: options.certificate.keyPem,
    minVersion: 'TLSv1.2',
    headersTimeout: HEADERS_TIMEOUT_MS,
    connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 2,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    handshakeTimeout: HEADERS_TIMEOUT_MS,
    noDelay: true,
  });
  server.maxConnections = MAX_CONNECTIONS;
  const tell = failureTeller(options.log);
  server.on('request', (request, response) => void serve({ request, response, closing: closing.signal }, { options, handlers, tell }));
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    else socket.destroy();
  });
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    renew: ({ certPem, keyPem }) => server.setSecureContext({ cert: certPem, key: keyPem, minVersion: 'TLSv1.2' }),
    close: () => close(server, closing),
  };
}

function listen(server: Server, { address, port }: HttpOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (cause) => reject(failure('SIDERO_APISERVER_LISTEN_FAILED', { address, port, cause })));
  server.listen(port, address, () => resolve());
  return promise;
}

async function close(server: Server, closing: AbortController): Promise<void> {
  closing.abort();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection becomes idle when its last answer is out, some of them only after the watches have ended.
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}

interface Incoming {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly closing: AbortSignal;
}

interface Serving {
  readonly options: HttpOptions;
  readonly handlers: readonly Handler[];
  readonly tell: TellFailure;
}

async function serve(incoming: Incoming, { options, handlers, tell }: Serving): Promise<void> {
  const { request, response } = incoming;
  // A client that goes while it is answered is no failure of ours.
  response.on('error', () => {});
  try {
    const exchange = toExchange(incoming);
    authorise(request, exchange.path, options);
    const answer = await firstAnswer(handlers, exchange);
    if (answer) send(response, answer);
  } catch (error) {
    refuse({ request, response, closing: incoming.closing }, error, tell);
  }
}

function toExchange({ request, response, closing }: Incoming): Exchange {
  const [path = '/', ...query] = (request.url ?? '/').split('?');
  return { request, response, path, query: new URLSearchParams(query.join('?')), closing };
}

async function firstAnswer(handlers: readonly Handler[], exchange: Exchange): Promise<Answer | undefined> {
  for (const handler of handlers) {
    const answer = await handler(exchange);
    if (answer || exchange.response.headersSent) return answer;
  }
  throw unknownPath();
}

function authorise(request: IncomingMessage, path: string, { isToken }: HttpOptions): void {
  const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (token !== undefined && isToken(token)) return;
  if (request.headers.authorization) throw new ApiError({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });
  if (PUBLIC.has(path)) return;
  const message = `forbidden: User "system:anonymous" cannot ${(request.method ?? 'get').toLowerCase()} path ${JSON.stringify(path)}`;
  throw new ApiError({ code: 403, reason: 'Forbidden', message, details: {} });
}

// A Status for every failure. What is left of the body is not read: the connection ends with the answer.
function refuse({ request, response }: Incoming, error: unknown, tell: TellFailure): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const status = statusOf(error, request, tell);
  const headers = request.complete ? {} : { Connection: 'close' };
  const retry: Record<string, string> =
    status.details?.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(status.details.retryAfterSeconds) };
  send(response, { code: status.code, body: status.toStatus(), headers: { ...headers, ...retry } });
}

function statusOf(error: unknown, request: IncomingMessage, tell: TellFailure): ApiError {
  if (error instanceof ApiError) return error;
  if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return badRequest('the request ended early');
  tell(error, request);
  return internalError(error instanceof SideroError ? `${error.message} Next: ${error.next}` : messageOf(error));
}

type TellFailure = (error: unknown, request: IncomingMessage) => void;

/** Logs what went wrong in here; what goes wrong at every request, once in a while. */
function failureTeller(log: Logger | undefined): TellFailure {
  let [last, lastMs] = ['', 0];
  return (error, { method, url }) => {
    const text = messageOf(error);
    if (text === last && Date.now() - lastMs < AGAIN_MS) return;
    [last, lastMs] = [text, Date.now()];
    if (error instanceof SideroError) log?.error({ code: error.code, next: error.next, method, url }, error.message);
    else log?.error({ err: error, method, url }, 'request failed');
  };
}
