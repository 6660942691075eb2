import type { KubeConfig } from '@kubernetes/client-node';
import type { RequestOptions } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import { failure, SideroError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';

/** One call of the API. `kind` and `name` are for errors and metrics only. */
export interface KubeCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** What we are doing, as RBAC names it. */
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'patch' | 'delete';
  readonly kind: string;
  readonly name: string;
  /** Below the server's URL, with its query. */
  readonly path: string;
  readonly body?: { readonly type: 'application/json' | 'application/merge-patch+json'; readonly json: unknown };
  /** Media type that is asked for. Default `application/json`. */
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

/** What the API answered, whatever its status. */
export interface KubeAnswer {
  readonly status: number;
  /** Parsed JSON; a text where it was none. */
  readonly body: unknown;
}

/** HTTP to one API server. */
export interface KubeTransport {
  readonly server: string;
  /** @throws SIDERO_RESOURCE_UNREACHABLE; any HTTP status is an answer. */
  call(call: KubeCall): Promise<KubeAnswer>;
  /** Opens a stream; a status other than 200 comes back as an answer. Abort the signal to close the stream. */
  open(call: KubeCall & { readonly signal: AbortSignal }): Promise<KubeAnswer | AsyncIterable<Uint8Array>>;
  /** Ends every connection, with what runs on it. */
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly kubeConfig: KubeConfig;
  readonly userAgent: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** A call that was not answered completely by then is given up. Default 30 s. */
  readonly timeoutMs?: number | undefined;
}

const DEFAULT_CALL_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** Tokens and certificates on disk are rotated; they are looked at again this often. */
const CREDENTIALS_FRESH_MS = 30_000;
/** More calls at a time than this wait for a connection; watches have their own. */
const CALL_CONNECTIONS = 64;
/** How often a call that the API asked to repeat later (429, or 5xx with Retry-After) is repeated. */
const MAX_REPEATS = 5;
const MAX_RETRY_AFTER_MS = 10_000;
const SECONDS_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** The server of a kubeconfig's current context, without a slash at its end. @throws SIDERO_CLUSTER_INVALID */
export function serverOf(kubeConfig: KubeConfig): string {
  const cluster = kubeConfig.getCurrentCluster();
  if (!cluster) throw failure('SIDERO_CLUSTER_INVALID', { context: kubeConfig.getCurrentContext(), problem: 'it names no cluster' });
  const problem = serverProblem(cluster.server) ?? (cluster.proxyUrl?.startsWith('socks') ? 'SOCKS proxies are not supported' : undefined);
  if (problem) throw failure('SIDERO_CLUSTER_INVALID', { context: kubeConfig.getCurrentContext(), problem });
  return cluster.server.replace(/\/+$/, '');
}

function serverProblem(server: string): string | undefined {
  if (!URL.canParse(server)) return `its server "${server}" is not a URL`;
  const { protocol } = new URL(server);
  if (protocol === 'http:') return `its server ${server} is plain http, which would show our credentials to the network`;
  return protocol === 'https:' ? undefined : `its server ${server} is not https`;
}

/** Calls over undici, with the TLS and the login that the kubeconfig gives. @throws SIDERO_CLUSTER_INVALID */
export function createTransport(options: TransportOptions): KubeTransport {
  const server = serverOf(options.kubeConfig);
  const connections = new Connections(options);
  const { count, observe } = metersOf(options.metrics);
  const { userAgent, timeoutMs = DEFAULT_CALL_TIMEOUT_MS } = options;
  const { origin, pathname } = new URL(server);
  const target = { connections, origin, path: pathname === '/' ? '' : pathname, userAgent, timeoutMs };
  const measured = async (call: KubeCall, pool: 'calls' | 'streams', signal: AbortSignal) => {
    const started = performance.now();
    const labels = { verb: call.verb, kind: call.kind };
    try {
      const response = await send({ ...target, call, pool, signal });
      count({ ...labels, status: String(response.statusCode) });
      return response;
    } catch (thrown) {
      count({ ...labels, status: 'unreachable' });
      throw unreachable(call, server, thrown);
    } finally {
      observe((performance.now() - started) / 1000, { verb: call.verb });
    }
  };
  const attempt = async (call: KubeCall): Promise<Answered> => {
    using limit = new CallLimit(timeoutMs, call.signal);
    const response = await measured(call, 'calls', limit.signal).catch((thrown: unknown) => {
      if (!brokeOff(call, thrown)) throw thrown;
      limit.restart();
      return measured(call, 'calls', limit.signal);
    });
    return { waitMs: retryAfterMs(response), answer: await answerOf(call, server, response) };
  };
  return {
    server,
    call: (call) => repeated(call, () => attempt(call)),
    async open(call) {
      const response = await measured(call, 'streams', call.signal);
      return response.statusCode === 200 ? response.body : answerOf(call, server, response);
    },
    close: () => connections.close(),
  };
}

function metersOf(metrics: Metrics) {
  const count = metrics.counter('sidero_kube_requests_total', 'Calls of the Kubernetes API.', ['verb', 'kind', 'status']);
  const observe = metrics.histogram('sidero_kube_request_seconds', 'Duration of calls of the Kubernetes API.', {
    labels: ['verb'],
    buckets: SECONDS_BUCKETS,
  });
  return { count, observe };
}

function unreachable(call: KubeCall, server: string, cause: unknown): SideroError {
  if (cause instanceof SideroError) return cause;
  return failure('SIDERO_RESOURCE_UNREACHABLE', { verb: call.verb, kind: call.kind, server, cause: speaking(cause) });
}

// The server closed a connection that we kept for later just when we used it. Once more through a fresh one is safe for all
// but a create: patches rely on a version, removing again finds nothing.
function brokeOff(call: KubeCall, thrown: unknown): boolean {
  const cause = thrown instanceof SideroError ? thrown.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return call.method !== 'POST' && ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(code);
}

// A name with several addresses fails with an AggregateError that says nothing itself.
function speaking(cause: unknown): unknown {
  if (cause instanceof AggregateError && cause.errors.length > 0) return speaking(cause.errors[0]);
  if (cause instanceof DOMException && cause.name === 'TimeoutError') return new Error('it took too long', { cause });
  return cause;
}

interface Sending {
  readonly call: KubeCall;
  readonly pool: 'calls' | 'streams';
  readonly connections: Connections;
  readonly origin: string;
  /** Before that of the call. */
  readonly path: string;
  readonly userAgent: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Gives a call up as a whole when its time is over. A timer of its own, ended with the call: signals that time out by themselves pile up for as long. */
class CallLimit implements Disposable {
  readonly signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;

  constructor(timeoutMs: number, given: AbortSignal | undefined) {
    const controller = new AbortController();
    this.#timer = setTimeout(() => controller.abort(new DOMException('The call was not answered in time', 'TimeoutError')), timeoutMs);
    this.signal = given ? AbortSignal.any([controller.signal, given]) : controller.signal;
  }

  restart(): void {
    this.#timer.refresh();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

// A 401 may mean that a token was rotated since we looked: look once more.
async function send(sending: Sending): Promise<Dispatcher.ResponseData> {
  const login = await sending.connections.login();
  const response = await sendAs(sending, login);
  if (response.statusCode !== 401) return response;
  const renewed = await sending.connections.login(login);
  if (renewed === login) return response;
  await response.body.dump();
  return sendAs(sending, renewed);
}

function sendAs({ call, pool, origin, path, userAgent, timeoutMs, signal }: Sending, login: Login): Promise<Dispatcher.ResponseData> {
  const headers: Record<string, string> = { ...login.headers, accept: call.accept ?? 'application/json', 'user-agent': userAgent };
  if (call.body) headers['content-type'] = call.body.type;
  return login[pool].request({
    origin,
    path: path + call.path,
    method: call.method,
    headers,
    body: call.body ? JSON.stringify(call.body.json) : null,
    headersTimeout: timeoutMs,
    // A stream's silence is judged by whoever reads it.
    bodyTimeout: pool === 'calls' ? timeoutMs : 0,
    signal,
  });
}

interface Answered {
  readonly answer: KubeAnswer;
  /** The API asks to come again after this time. */
  readonly waitMs: number | undefined;
}

async function repeated(call: KubeCall, attempt: () => Promise<Answered>): Promise<KubeAnswer> {
  for (let repeats = 0; ; repeats++) {
    const { answer, waitMs } = await attempt();
    if (waitMs === undefined || repeats === MAX_REPEATS) return answer;
    await delay(waitMs, undefined, call.signal ? { signal: call.signal } : {});
  }
}

// Priority and fairness refuses with 429 before anything was done, so repeating is safe for every verb.
function retryAfterMs({ statusCode, headers }: Dispatcher.ResponseData): number | undefined {
  const seconds = Number(headers['retry-after']);
  if (statusCode !== 429 && !(statusCode >= 500 && seconds > 0)) return undefined;
  return Math.min(seconds > 0 ? seconds * 1000 : 1000, MAX_RETRY_AFTER_MS) * (1 + Math.random() * 0.2);
}

async function answerOf(call: KubeCall, server: string, response: Dispatcher.ResponseData): Promise<KubeAnswer> {
  const text = await response.body.text().catch((cause: unknown) => {
    throw unreachable(call, server, cause);
  });
  return { status: response.statusCode, body: parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The sentence in an answer that refuses: a Status' message, else the text itself. */
export function reasonOf({ status, body }: KubeAnswer): string {
  if (typeof body === 'object' && body !== null && 'message' in body) return String(body.message);
  const text = typeof body === 'string' ? body.trim() : '';
  return text === '' ? `HTTP ${status}` : text.slice(0, 300);
}

/** The `reason` of a Status (`AlreadyExists`, `Conflict`, `Expired` …); empty when there is none. */
export function statusReason({ body }: KubeAnswer): string {
  return typeof body === 'object' && body !== null && 'reason' in body ? String(body.reason) : '';
}

/** The API said no. */
export function refused(call: KubeCall, answer: KubeAnswer): SideroError {
  const { verb, kind, name } = call;
  return failure('SIDERO_RESOURCE_FAILED', { verb, kind, name, status: answer.status, reason: reasonOf(answer) });
}

/** Connections that were made with one set of credentials. */
interface Login {
  /** Everything it was made from, to see a change. */
  readonly secrets: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly calls: Dispatcher;
  readonly streams: Dispatcher;
}

/** Keeps connections as long as certificates stay the same, and looks at the credentials now and then. */
class Connections {
  readonly #options: TransportOptions;
  #login: Promise<Login> | undefined;
  #known: Login | undefined;
  #lookedAt = 0;
  #closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    const cluster = options.kubeConfig.getCurrentCluster();
    if (cluster?.skipTLSVerify) options.log.warn({ server: cluster.server }, 'the kubeconfig says not to verify the certificate of the API server');
  }

  /** `refused`: the API did not take that one; look again unless somebody did already. */
  async login(refused?: Login): Promise<Login> {
    if (this.#closed) throw new Error('the client was closed');
    const isFresh = performance.now() - this.#lookedAt < CREDENTIALS_FRESH_MS;
    if (this.#login && isFresh && (!refused || refused !== this.#known)) return this.#login;
    this.#lookedAt = performance.now();
    const next = this.#lookAgain();
    this.#login = next;
    // A look that failed is not kept: the next call looks again.
    next.catch(() => {
      if (this.#login === next) this.#login = undefined;
    });
    return next;
  }

  async #lookAgain(): Promise<Login> {
    const { kubeConfig } = this.#options;
    const given: RequestOptions = {};
    await kubeConfig.applyToHTTPSOptions(given);
    const headers = headersOf(given);
    const { ca, cert, key, servername, rejectUnauthorized } = given;
    const tls = { ca, cert, key, servername, rejectUnauthorized };
    const secrets = JSON.stringify([headers, Object.values(tls).map(String)]);
    const known = this.#known;
    if (known?.secrets === secrets) return known;
    const tlsOnly = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
    const proxy = kubeConfig.getCurrentCluster()?.proxyUrl;
    this.#known = { secrets, headers, calls: dispatcher(tlsOnly, proxy, CALL_CONNECTIONS), streams: dispatcher(tlsOnly, proxy, null) };
    if (known) closeQuietly(known);
    return this.#known;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#login?.catch(() => undefined);
    await Promise.all([this.#known?.calls.destroy(), this.#known?.streams.destroy()]);
  }
}

// What still runs on the old connections ends by itself.
function closeQuietly({ calls, streams }: Login): void {
  calls.close().catch(() => {});
  streams.close().catch(() => {});
}

function headersOf(given: RequestOptions): Record<string, string> {
  const entries = Object.entries(given.headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]);
  const headers = Object.fromEntries(entries) as Record<string, string>;
  if (given.auth) headers['authorization'] = `Basic ${Buffer.from(given.auth).toString('base64')}`;
  return headers;
}

// HTTP/1.1 only: a watch that hangs then blocks no other call, and giving a call up closes its socket.
function dispatcher(tls: object, proxy: string | undefined, connections: number | null): Dispatcher {
  const connect = { ...tls, timeout: CONNECT_TIMEOUT_MS, keepAlive: true, keepAliveInitialDelay: 30_000 };
  const settings = { allowH2: false, connections, keepAliveTimeout: 30_000, keepAliveMaxTimeout: 60_000 };
  return proxy ? new ProxyAgent({ ...settings, uri: proxy, requestTls: connect }) : new Agent({ ...settings, connect });
}
