import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { messageOf } from '../errors.ts';
import type { Metrics } from '../metrics.ts';
import type { ResourceClient } from '../resources/client.ts';
import type { Kind, KubeObject } from '../resources/kinds.ts';
import { selfSigned } from './self-signed.ts';
import { listenOn } from './listener.ts';

/** What the diagnostics listener is made of. */
export interface DiagnosticsOptions {
  readonly address: string;
  /** True: plain HTTP, to anyone. False: HTTPS, to whom the Kubernetes API lets GET the path. */
  readonly isOpen: boolean;
  readonly metrics: Metrics;
  /** Answers whatever else is asked for, by those who may. It does not listen itself. */
  readonly routes: Server;
  readonly resources: ResourceClient;
  readonly signal: AbortSignal;
}

interface TokenReview extends KubeObject {
  spec: { token: string };
  status?: { authenticated?: boolean; user?: { username?: string; groups?: string[] } };
}

interface SubjectAccessReview extends KubeObject {
  spec: { user: string; groups: string[]; nonResourceAttributes: { path: string; verb: string } };
  status?: { allowed?: boolean };
}

const TokenReviewKind: Kind<TokenReview> = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', plural: 'tokenreviews', namespaced: false };
const AccessReviewKind: Kind<SubjectAccessReview> = {
  apiVersion: 'authorization.k8s.io/v1',
  kind: 'SubjectAccessReview',
  plural: 'subjectaccessreviews',
  namespaced: false,
};

/** Serves `/metrics` and `routes`. Gives the port. @throws SIDERO_LISTEN_FAILED */
export async function serveDiagnostics(options: DiagnosticsOptions): Promise<number> {
  const handler: RequestListener = (request, response) => {
    const answer = (status: number, body: string): void =>
      void response.writeHead(status, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' }).end(body);
    respond(request, options).then(
      (given) => (given ? answer(given.status, given.body) : options.routes.emit('request', request, response)),
      (thrown: unknown) => answer(500, `${messageOf(thrown)}\n`),
    );
  };
  const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 10_000 };
  const server = options.isOpen
    ? createHttpServer(limits, handler)
    : createHttpsServer({ ...limits, ...(await selfSigned('sidero-diagnostics')) }, handler);
  return listenOn(server, { what: 'the diagnostics listener', address: options.address, signal: options.signal });
}

// Undefined: it is for the routes.
async function respond(request: IncomingMessage, options: DiagnosticsOptions): Promise<{ status: number; body: string } | undefined> {
  const path = (request.url ?? '/').split('?')[0]!;
  if (!options.isOpen) {
    const refusal = await refusalOf(request, path, options.resources);
    if (refusal) return refusal;
  }
  return path === '/metrics' ? { status: 200, body: await options.metrics.text() } : undefined;
}

async function refusalOf(request: IncomingMessage, path: string, resources: ResourceClient): Promise<{ status: number; body: string } | undefined> {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (!token) return { status: 401, body: 'Unauthorized\n' };
  const { apiVersion, kind } = TokenReviewKind;
  const review = await resources.review(TokenReviewKind, { apiVersion, kind, spec: { token } });
  if (!review.status?.authenticated) return { status: 401, body: 'Unauthorized\n' };
  const { username = '', groups = [] } = review.status.user ?? {};
  const nonResourceAttributes = { path, verb: (request.method ?? 'GET').toLowerCase() };
  const access = await resources.review(AccessReviewKind, {
    apiVersion: AccessReviewKind.apiVersion,
    kind: AccessReviewKind.kind,
    spec: { user: username, groups, nonResourceAttributes },
  });
  return access.status?.allowed ? undefined : { status: 403, body: `user ${username} may not get ${path}\n` };
}
