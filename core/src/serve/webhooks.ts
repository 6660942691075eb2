import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer, type Server as HttpsServer } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Service } from '../registries.ts';
import type { Registry } from '../registry.ts';
import type { CustomResource } from '../resources/custom-resource.ts';
import { listenOn } from './listener.ts';
import { answerAdmission, answerConversion } from './webhook-reviews.ts';

/** PEM of a serving certificate and its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface WebhookOptions {
  /** The kinds served: conversion for all, validation for those that have it. */
  readonly customResources: Pick<Registry<CustomResource>, 'list'>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Default: all interfaces. */
  readonly host?: string;
  /** 0: any free one, told in the log. */
  readonly port: number;
  /** The certificate, or the folder where `tls.crt` and `tls.key` are or will be, as cert-manager mounts them. */
  readonly certificate: Certificate | { readonly directory: string };
  /** How often that folder is looked at. Default 2 s. */
  readonly pollMs?: number;
}

// The API server asks for whole lists at once; ten thousand Servers of 5 KB are 50 MB.
const MAX_CONVERSION_BYTES = 64 * 2 ** 20;
// An object and what it was before, each within etcd's limit of 1.5 MB.
const MAX_ADMISSION_BYTES = 8 * 2 ** 20;
const MAX_CONNECTIONS = 128;

// The idle time-out is above that of Go's clients (90 s), so that they never write into a connection we are closing.
const LIMITS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 120_000 };

/**
 * The HTTPS listener that a real API server calls: `/convert`, and `/validate-<group>-<version>-<kind>` (dots as hyphens) for each
 * version of each kind that validates. It listens once there is a certificate and follows its renewals.
 */
export function webhookService(options: WebhookOptions): Service {
  return {
    name: 'webhooks',
    where: 'every',
    async run(signal, ready) {
      const { log, host = '', port } = options;
      let server: HttpsServer | undefined;
      for await (const look of certificates(options, signal)) {
        if ('problem' in look) {
          log.info(
            { problem: look.problem },
            server ? 'the webhooks keep their certificate' : 'the webhooks wait for a certificate; only an API server that calls them needs one',
          );
        } else if (server) {
          server.setSecureContext(look);
          log.info('the webhooks have a new certificate');
        } else {
          server = createServer({ ...LIMITS, ...look }, webhookListener(options));
          server.maxConnections = MAX_CONNECTIONS;
          const bound = await listenOn(server, { what: 'the webhook listener', address: `${host}:${port}`, signal });
          log.info({ port: bound }, 'the webhooks listen');
        }
        ready();
      }
    },
  };
}

/** Each certificate to serve, and each reason why there is none, whenever it changes. Ends when `signal` aborts. */
async function* certificates({ certificate, pollMs = 2000 }: WebhookOptions, signal: AbortSignal): AsyncGenerator<Certificate | { problem: string }> {
  let last = '';
  while (!signal.aborted) {
    const look = 'directory' in certificate ? await readCertificate(certificate.directory) : certificate;
    const now = JSON.stringify(look);
    if (now !== last) yield look;
    last = now;
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

async function readCertificate(directory: string): Promise<Certificate | { problem: string }> {
  try {
    // One after the other: of two that are missing it is always the same one that is told of, and told once.
    const cert = await readFile(join(directory, 'tls.crt'), 'utf8');
    const key = await readFile(join(directory, 'tls.key'), 'utf8');
    // While a pair is being replaced one of the two may be of the next pair already, or be empty, which TLS would take for "none".
    const isPair = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
    return isPair ? { cert, key } : { problem: `tls.key in ${directory} is not the key of tls.crt` };
  } catch (thrown) {
    return { problem: messageOf(thrown) };
  }
}

interface Answer {
  readonly status: number;
  readonly body: object | string;
}

interface Route {
  readonly maxBytes: number;
  answer(review: unknown): object;
}

/** The webhooks as a handler of plain requests. A review gets 200, whatever it decides; what is none gets a 4xx and a line of text. */
export function webhookListener({ customResources, log, metrics }: Pick<WebhookOptions, 'customResources' | 'log' | 'metrics'>): RequestListener {
  const routes = routesOf(customResources.list());
  const count = metrics.counter('sidero_webhook_requests_total', 'Calls of the webhooks by the API server.', ['path', 'status']);
  return (request, response) => {
    const path = (request.url ?? '/').split('?')[0]!;
    const route = routes.get(path);
    const answered = route ? respond(request, route) : Promise.resolve({ status: 404, body: 'no such webhook' });
    const send = ({ status, body }: Answer): void => {
      count({ path: route ? path : 'other', status: String(status) });
      if (status >= 400) log.warn({ path, status, problem: body }, 'webhook call refused');
      const isText = typeof body === 'string';
      response.writeHead(status, {
        'Content-Type': isText ? 'text/plain; charset=utf-8' : 'application/json',
        ...(status === 413 ? { Connection: 'close' } : {}),
      });
      response.end(isText ? `${body}\n` : JSON.stringify(body));
    };
    answered.then(send, (thrown: unknown) => {
      log.error({ path, err: thrown }, 'webhook call failed');
      send({ status: 500, body: messageOf(thrown) });
    });
  };
}

function routesOf(resources: readonly CustomResource[]): ReadonlyMap<string, Route> {
  const routes = new Map<string, Route>([['/convert', { maxBytes: MAX_CONVERSION_BYTES, answer: (review) => answerConversion(review, resources) }]]);
  for (const resource of resources.filter((known) => known.validate !== undefined)) {
    const { group, versions, names } = resource.definition.spec;
    for (const { name } of versions) {
      const path = `/validate-${group.replaceAll('.', '-')}-${name}-${names.kind.toLowerCase()}`;
      routes.set(path, { maxBytes: MAX_ADMISSION_BYTES, answer: (review) => answerAdmission(review, resource) });
    }
  }
  return routes;
}

async function respond(request: IncomingMessage, route: Route): Promise<Answer> {
  if (request.method !== 'POST') return { status: 405, body: 'reviews are sent by POST' };
  const text = await readBody(request, route.maxBytes);
  if (text === undefined) return { status: 413, body: `a review of more than ${route.maxBytes} bytes` };
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch (thrown) {
    return { status: 400, body: `the body is not JSON: ${messageOf(thrown)}` };
  }
  const body = route.answer(review);
  return 'malformed' in body ? { status: 400, body: `no review: ${String(body.malformed)}` } : { status: 200, body };
}

/** The whole body; undefined when it is too long. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Left open on return, so that the answer still gets out.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}
