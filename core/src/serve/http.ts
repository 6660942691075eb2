import { createServer, type Server } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';
import { messageOf, SideroError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Route } from '../sidero.ts';
import { createAnswerNews } from './answer-news.ts';
import { clientAddress } from './client-address.ts';

/** What the HTTP side is made of. */
export interface HttpOptions {
  readonly routes: readonly { readonly plugin: string; readonly route: Route }[];
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How long a request's head may take. Default 15 s. */
  readonly headersTimeoutMs?: number;
}

/** Bytes of a request's head and of its URL; a PXE query with every field is under 1 KiB. */
const MAX_HEAD_BYTES = 16 * 1024;
const MAX_URL_LENGTH = 4096;

/** The HTTP server of the API port, not listening: connections are handed to it. */
export function createHttp(options: HttpOptions): Server {
  const app = new Koa();
  app.silent = true;
  app.use(observe(options)).use(guard);
  const router = new Router();
  for (const { route } of options.routes) router.register(route.path, route.method === 'GET' ? ['GET', 'HEAD'] : [route.method], route.handler);
  app.use(router.routes()).use(router.allowedMethods());
  app.use(notFound);
  app.on('error', (thrown: unknown) => options.log.error({ err: thrown }, 'HTTP request failed'));

  const { headersTimeoutMs: headersTimeout = 15_000 } = options;
  const limits = {
    maxHeaderSize: MAX_HEAD_BYTES,
    headersTimeout,
    requestTimeout: 4 * headersTimeout,
    connectionsCheckingInterval: Math.ceil(headersTimeout / 3),
    keepAliveTimeout: 30_000,
  };
  const server = createServer(limits, app.callback());
  server.maxRequestsPerSocket = 10_000;
  server.on('clientError', (cause, socket) => {
    options.metrics.counter('sidero_http_malformed_total', 'HTTP requests that could not be parsed.')();
    const { code } = cause as { code?: string };
    const status =
      code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : code === 'HPE_HEADER_OVERFLOW'
          ? '431 Request Header Fields Too Large'
          : '400 Bad Request';
    if (socket.writable && code !== 'ECONNRESET') socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    else socket.destroy();
  });
  return server;
}

// The one error policy, and the access log. Queries stay out of it: they carry identities and tokens.
function observe({ log, metrics }: HttpOptions): Koa.Middleware {
  const seconds = metrics.histogram('sidero_http_seconds', 'Time until the answer was ready.', {
    labels: ['route', 'status'],
    buckets: [0.001, 0.01, 0.1, 1, 10],
  });
  const isNews = createAnswerNews();
  return async (context, next) => {
    const startedMs = performance.now();
    try {
      await next();
    } catch (thrown) {
      const { status, text } = answerTo(thrown);
      context.status = status;
      context.type = 'text/plain';
      context.body = text;
      if (status >= 500) log.error({ err: thrown, path: context.path, address: clientAddress(context.ip) }, 'HTTP request failed');
    }
    const route = (context as { _matchedRoute?: string })._matchedRoute ?? 'none';
    seconds((performance.now() - startedMs) / 1000, { route, status: String(context.status) });
    const answer = { method: context.method, path: context.path, status: context.status, address: clientAddress(context.ip) };
    log[isNews(answer) ? 'info' : 'debug'](answer, 'HTTP');
  };
}

function answerTo(thrown: unknown): { status: number; text: string } {
  if (thrown instanceof SideroError) return { status: 503, text: `${thrown.toText()}\n` };
  const { status, expose } = thrown as { status?: number; expose?: boolean };
  if (status && expose) return { status, text: `${messageOf(thrown)}\n` };
  return { status: 500, text: 'internal error\n' };
}

const guard: Koa.Middleware = async (context, next) => {
  if (context.url.length > MAX_URL_LENGTH) context.throw(414, `the URL is longer than ${MAX_URL_LENGTH} characters`);
  context.set('X-Content-Type-Options', 'nosniff');
  await next();
};

const notFound: Koa.Middleware = (context) => {
  if (context.status !== 404 || context.body !== undefined) return;
  context.body = '404 page not found\n';
  context.status = 404;
  context.type = 'text/plain; charset=utf-8';
};
