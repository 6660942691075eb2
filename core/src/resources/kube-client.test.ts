import 'reflect-metadata';
import { createServer, type Server as HttpsServer } from 'node:https';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { KubeConfig } from '@kubernetes/client-node';
import * as x509 from '@peculiar/x509';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLogger } from '../log.ts';
import { createMetrics, type Metrics } from '../metrics.ts';
import type { Change } from './client.ts';
import type { InformerTiming } from './informer.ts';
import { type Kind, type KubeObject, type Secret, SecretKind } from './kinds.ts';
import { createResourceClient, type RunningResourceClient } from './kube-client.ts';

interface Thing extends KubeObject {
  spec?: { size?: number; color?: string };
  status?: { ready?: boolean };
}

const ThingKind: Kind<Thing> = { apiVersion: 'test.sidero.dev/v1', kind: 'Thing', plural: 'things', namespaced: false };
const PATH = '/apis/test.sidero.dev/v1/things';

type Answer = [status: number, body: unknown, headers?: Record<string, string>];
/** Looks at a request before the API does: an answer of its own, `hang` for none, or undefined to let it pass. */
type Fault = (request: { method: string; url: URL; token: string }) => Answer | 'hang' | 'drop' | Promise<void> | undefined;

const notFound = (name: string): Answer => [404, { kind: 'Status', reason: 'NotFound', message: 'not found', details: { name } }];

/** The wire of one kind of the Kubernetes API, over TLS, with everything that goes wrong there at hand. */
class FaultyApi {
  static certificate: { cert: string; key: string };
  readonly things = new Map<string, Thing>();
  readonly requests: string[] = [];
  readonly bodies: unknown[] = [];
  version = 100;
  /** Watches from before this version get 410. */
  compacted = 0;
  fault: Fault = () => undefined;
  /** Watches are opened and nothing is ever sent. */
  isSilent = false;
  readonly #watches = new Set<ServerResponse>();
  readonly #history: { version: number; line: string }[] = [];
  readonly #sockets = new Set<Socket>();
  #server: HttpsServer | undefined;
  #port = 0;

  async up(): Promise<void> {
    const server = createServer(FaultyApi.certificate, (request, response) => void this.#serve(request, response));
    server.on('secureConnection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async down(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    this.drop();
    await closed;
  }

  /** Every connection breaks. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#watches.clear();
  }

  get watches(): number {
    return this.#watches.size;
  }

  count(start: string): number {
    return this.requests.filter((request) => request.startsWith(start)).length;
  }

  kubeConfig(token: () => string = () => 'secret'): KubeConfig {
    const config = new KubeConfig();
    const caData = Buffer.from(FaultyApi.certificate.cert).toString('base64');
    config.loadFromClusterAndUser(
      { name: 'test', server: `https://127.0.0.1:${this.#port}`, caData, skipTLSVerify: false },
      { name: 'test', authProvider: { name: 'test' } },
    );
    config.addAuthenticator({
      isAuthProvider: () => true,
      applyAuthentication: async (_user, options) => void (options.headers = { Authorization: `Bearer ${token()}` }),
    });
    return config;
  }

  put(name: string, more: Partial<Thing> = {}): Thing {
    const known = this.things.get(name);
    const metadata = { uid: `${name}-${this.version}`, ...known?.metadata, ...more.metadata, name, resourceVersion: String(++this.version) };
    const thing = { apiVersion: 'test.sidero.dev/v1', kind: 'Thing', ...known, ...more, metadata };
    this.things.set(name, thing);
    this.tell(known ? 'MODIFIED' : 'ADDED', thing);
    return thing;
  }

  remove(name: string): void {
    const known = this.things.get(name);
    this.things.delete(name);
    if (known) this.tell('DELETED', { ...known, metadata: { ...known.metadata, resourceVersion: String(++this.version) } });
  }

  tell(type: string, object: object): void {
    this.say(JSON.stringify({ type, object }));
  }

  /** As the server does when a watch has lasted for its time. */
  endWatches(): void {
    for (const watch of this.#watches) watch.end();
  }

  bookmark(): void {
    for (const watch of this.#watches)
      watch.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(this.version) } } })}\n`);
  }

  /** A line to every watch, remembered for those that come later. */
  say(line: string): void {
    this.#history.push({ version: this.version, line });
    if (!this.isSilent) for (const watch of this.#watches) watch.write(`${line}\n`);
  }

  /** Versions up to now are gone. */
  compact(): void {
    this.compacted = this.version;
    this.#history.length = 0;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'https://api');
    const method = request.method!;
    const isWatch = url.searchParams.has('watch');
    this.requests.push(`${isWatch ? 'WATCH' : method} ${url.pathname}${url.search}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = chunks.length > 0 ? (JSON.parse(Buffer.concat(chunks).toString()) as Thing) : undefined;
    if (body) this.bodies.push(body);
    const fault = this.fault({ method: isWatch ? 'WATCH' : method, url, token: (request.headers.authorization ?? '').replace('Bearer ', '') });
    if (fault === 'hang') return;
    if (fault === 'drop') return void request.socket.destroy();
    if (isWatch && !Array.isArray(fault)) return this.#watch(url, response);
    const [status, answer, headers] = Array.isArray(fault) ? fault : this.#answer(method, url, body);
    if (fault instanceof Promise) await fault;
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  }

  #watch(url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('resourceVersion'));
    if (from < this.compacted) return void response.writeHead(410).end(JSON.stringify({ code: 410, reason: 'Expired' }));
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    this.#watches.add(response);
    response.on('close', () => this.#watches.delete(response)).on('error', () => {});
    if (!this.isSilent) for (const { version, line } of this.#history) if (version > from) response.write(`${line}\n`);
  }

  #answer(method: string, url: URL, body: Thing | undefined): Answer {
    const [name, part] = url.pathname.slice(PATH.length + 1).split('/');
    if (!url.pathname.startsWith(PATH)) return notFound(url.pathname.split('/').at(-1)!);
    if (method === 'POST')
      return this.things.has(body!.metadata.name)
        ? [409, { reason: 'AlreadyExists', message: 'exists' }]
        : [201, this.put(body!.metadata.name, body)];
    if (!name) return [200, this.#list(url)];
    const known = this.things.get(name);
    if (!known) return notFound(name);
    if (method === 'GET') return [200, known];
    if (method === 'DELETE') {
      this.remove(name);
      return [200, { kind: 'Status', status: 'Success', details: { name, uid: known.metadata.uid } }];
    }
    if (body!.metadata.resourceVersion !== known.metadata.resourceVersion)
      return [409, { reason: 'Conflict', message: 'the object has been modified' }];
    const { spec, status } = body!;
    return [
      200,
      this.put(
        name,
        part === 'status' ? { status: { ...known.status, ...status } } : { spec: { ...known.spec, ...spec }, ...(status ? { status } : {}) },
      ),
    ];
  }

  #list(url: URL): object {
    const limit = Number(url.searchParams.get('limit') ?? Number.POSITIVE_INFINITY);
    const start = Number(url.searchParams.get('continue') ?? 0);
    const all = [...this.things.values()];
    const rest = all.length > start + limit ? { continue: String(start + limit) } : {};
    return { kind: 'ThingList', metadata: { resourceVersion: String(this.version), ...rest }, items: all.slice(start, start + limit) };
  }
}

beforeAll(async () => {
  const algorithm = { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=faulty-api',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });
  FaultyApi.certificate = {
    cert: certificate.toString('pem'),
    key: x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
  };
});

const quick: Partial<InformerTiming> = { backoffMs: { first: 5, most: 20, missing: 20 } };

let api: FaultyApi;
let clients: RunningResourceClient[];
let metrics: Metrics;
let logged: { level: number; msg: string; state?: string }[];

beforeEach(async () => {
  api = new FaultyApi();
  clients = [];
  logged = [];
  metrics = createMetrics();
  await api.up();
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await api.down();
});

function aClient(
  options: { timing?: Partial<InformerTiming>; callTimeoutMs?: number; kubeConfig?: KubeConfig | Promise<KubeConfig> } = {},
): RunningResourceClient {
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(JSON.parse(chunk.toString()) as (typeof logged)[number]);
      done();
    },
  });
  const kubeConfig = options.kubeConfig ?? api.kubeConfig();
  const client = createResourceClient({
    kubeConfig: () => kubeConfig,
    log: createLogger({ destination, level: 'info' }),
    metrics,
    component: 'sidero-test',
    timing: { ...quick, ...options.timing },
    ...(options.callTimeoutMs === undefined ? {} : { callTimeoutMs: options.callTimeoutMs }),
  });
  clients.push(client);
  return client;
}

/** A client that watches, and what its handler was told since. */
async function aWatcher(options: Parameters<typeof aClient>[0] = {}) {
  const client = aClient(options);
  const told: string[] = [];
  const tell = ({ type, object, old }: Change<Thing>) =>
    void told.push(`${type} ${object.metadata.name} ${old?.spec?.size ?? '-'}→${object.spec?.size ?? '-'}`);
  const stop = new AbortController();
  const watching = client.watch(ThingKind, tell, stop.signal);
  client.start(stop.signal);
  await client.synced();
  await expect.poll(() => api.watches + api.count('WATCH')).toBeGreaterThan(0);
  return { client, told, stop, watching };
}

const until = (assertion: () => void | Promise<void>) => vi.waitFor(assertion, { timeout: 30_000, interval: 5 });
const thing = (name: string, size = 1): Thing => ({ apiVersion: 'test.sidero.dev/v1', kind: 'Thing', metadata: { name }, spec: { size } });

describe('watching', () => {
  test('tells what is there, then every change once', async () => {
    api.put('a', { spec: { size: 1 } });
    const { told } = await aWatcher();
    api.put('b', { spec: { size: 2 } });
    api.put('a', { spec: { size: 3 } });
    api.remove('b');
    await until(() => expect(told).toEqual(['added a -→1', 'added b -→2', 'changed a 1→3', 'removed b 2→2']));
  });

  test('several handlers share one list and one watch, and a late one is told everything', async () => {
    api.put('a');
    const { client, stop } = await aWatcher();
    const late: string[] = [];
    void client.watch(ThingKind, ({ object }) => void late.push(object.metadata.name), stop.signal);
    expect(late).toEqual(['a']);
    api.put('b');
    await until(() => expect(late).toEqual(['a', 'b']));
    expect([api.count(`GET ${PATH}`), api.count('WATCH')]).toEqual([1, 1]);
  });

  test('ends when its signal aborts', async () => {
    const { stop, watching, client } = await aWatcher();
    stop.abort();
    await watching;
    await client.close();
    await until(() => expect(api.watches).toBe(0));
  });

  test('a handler that throws keeps nobody else from being told', async () => {
    const { client, told, stop } = await aWatcher();
    void client.watch(ThingKind, () => { throw new Error('handler broke'); }, stop.signal); // biome-ignore format: one line
    api.put('a');
    api.put('b');
    await until(() => expect(told).toHaveLength(2));
    expect(logged.filter(({ msg }) => msg === 'a watch handler failed').length).toBeGreaterThan(0);
  });

  test('goes on where it was after a dropped connection, without a new list and without a word', async () => {
    api.put('a');
    const { told } = await aWatcher();
    await until(() => expect(api.watches).toBe(1));
    api.drop();
    api.put('b');
    await until(() => expect(told).toEqual(['added a -→-', 'added b -→-']));
    expect(api.count(`GET ${PATH}`)).toBe(1);
    expect(logged).toEqual([]);
  });

  test.each([
    [
      'as the answer to the watch',
      () => {
        api.compact();
        api.drop();
      },
    ],
    [
      'as an event',
      () => {
        const object = { kind: 'Status', code: 410, reason: 'Expired' };
        api.tell('ERROR', object);
        api.compact();
      },
    ],
  ])('410 %s: lists again and tells only the difference', async (_how, expire) => {
    // biome-ignore format: one line each
    for (const name of ['same', 'gone', 'changed']) api.put(name, { spec: { size: 1 } });
    const { told } = await aWatcher();
    await until(() => expect(api.watches).toBe(1));
    told.length = 0;
    api.isSilent = true;
    api.put('changed', { spec: { size: 2 } });
    api.put('new', { spec: { size: 3 } });
    api.remove('gone');
    api.isSilent = false;
    expire();
    await until(() => expect(told.toSorted()).toEqual(['added new -→3', 'changed changed 1→2', 'removed gone 1→1']));
    expect(api.count(`GET ${PATH}`)).toBe(2);
  });

  test('a silent half-open connection is given up after its time, and nothing is missed', async () => {
    api.isSilent = true;
    const { told } = await aWatcher({ timing: { watchSeconds: [0, 0], graceMs: 100 } });
    api.put('a');
    const before = api.count('WATCH');
    await until(() => expect(api.count('WATCH')).toBeGreaterThan(before));
    api.isSilent = false;
    await until(() => expect(told).toEqual(['added a -→-']));
    expect(api.count(`GET ${PATH}`)).toBe(1);
  });

  describe('a refresh', () => {
    test('brings what a watch that hangs does not tell, and goes on from there', async () => {
      api.put('gone');
      const { told, client, stop } = await aWatcher();
      await until(() => expect(api.watches).toBe(1));
      told.length = 0;
      api.isSilent = true;
      api.put('new');
      api.remove('gone');
      await client.refresh(stop.signal);
      expect(told.toSorted()).toEqual(['added new -→-', 'removed gone -→-']);
      api.isSilent = false;
      await until(() => expect(api.count('WATCH')).toBe(2));
      api.put('later');
      await until(() => expect(told).toContain('added later -→-'));
      expect(api.count(`GET ${PATH}`)).toBe(2);
      expect(logged).toEqual([]);
    });

    test('of an API that is away waits until it is back, or until nobody wants it any more', async () => {
      const { told, client, stop } = await aWatcher({ timing: { backoffMs: { first: 20, most: 60_000, missing: 20 } } });
      await until(() => expect(api.watches).toBe(1));
      await api.down();
      const unwanted = new AbortController();
      const given = client.refresh(unwanted.signal);
      unwanted.abort(new Error('not wanted'));
      await expect(given).rejects.toThrow('not wanted');
      await until(() => expect(logged).toHaveLength(1));
      const refreshed = client.refresh(stop.signal);
      api.put('a');
      await api.up();
      await Promise.all([refreshed, client.refresh(stop.signal)]);
      expect(told).toEqual(['added a -→-']);
    });

    test.each([404, 403])('of a kind that the API refuses to list (%d) leaves it as it was', async (status) => {
      api.put('a');
      const { client, stop } = await aWatcher();
      api.fault = ({ url }) => (url.pathname === PATH ? [status, 'no\n'] : undefined);
      await client.refresh(stop.signal);
      expect(await client.list(ThingKind)).toHaveLength(1);
    });
  });

  test('where the server sends bookmarks, silence is noticed sooner', async () => {
    const { told } = await aWatcher({ timing: { watchSeconds: [300, 300], bookmarkSilenceMs: 100 } });
    await until(() => expect(api.watches).toBe(1));
    api.bookmark();
    api.isSilent = true;
    api.put('a');
    await until(() => expect(api.count('WATCH')).toBeGreaterThan(1));
    api.isSilent = false;
    api.drop();
    await until(() => expect(told).toEqual(['added a -→-']));
  });

  test('after a bookmark a watch goes on from there', async () => {
    await aWatcher();
    await until(() => expect(api.watches).toBe(1));
    api.version = 555;
    api.bookmark();
    api.endWatches();
    await until(() => expect(api.requests.at(-1)).toContain('resourceVersion=555'));
  });

  test('an API that is away is told once, and once that it is back; nothing is missed', async () => {
    const { told, client } = await aWatcher();
    await until(() => expect(api.watches).toBe(1));
    await api.down();
    await until(() => expect(logged).toHaveLength(1));
    expect(await client.list(ThingKind)).toEqual([]);
    await until(async () => expect(Number(/status="unreachable"} (\d+)/.exec(await metrics.text())?.[1])).toBeGreaterThan(4));
    api.put('a');
    await api.up();
    await until(() => expect(told).toEqual(['added a -→-']));
    expect(logged.map(({ state }) => state)).toEqual(['unreachable', 'watching']);
  });

  test('a kind that does not exist yet holds nobody up, and is found when it comes', async () => {
    api.fault = ({ url }) => (url.pathname === PATH ? [404, '404 page not found\n'] : undefined);
    const { client, told } = await aWatcherOfMissing();
    expect(client.unsynced()).toEqual(['Thing']);
    await until(() => expect(api.count(`GET ${PATH}`)).toBeGreaterThan(3));
    api.put('a');
    api.fault = () => undefined;
    await until(() => expect(told).toEqual(['added a']));
    expect(client.unsynced()).toEqual([]);
    await until(() => expect(logged.map(({ state }) => state)).toEqual(['missing', 'watching']));
  });

  test('a kind that the API does not know for a while keeps its objects, and what happened meanwhile is told', async () => {
    api.put('a');
    api.put('b');
    const { told, client } = await aWatcher();
    told.length = 0;
    api.fault = ({ url }) => (url.pathname === PATH ? [404, '404 page not found\n'] : undefined);
    api.drop();
    await until(() => expect(logged.map(({ state }) => state)).toEqual(['missing']));
    expect(await client.list(ThingKind)).toHaveLength(2);
    api.remove('a');
    api.fault = () => undefined;
    await until(() => expect(told).toEqual(['removed a -→-']));
  });

  test('a 404 that does not name the object says nothing about it', async () => {
    api.fault = () => [404, '404 page not found\n'];
    const client = aClient();
    const unknown = { code: 'SIDERO_RESOURCE_FAILED', details: { status: 404 } };
    await expect(client.get(ThingKind, { name: 'a' })).rejects.toMatchObject(unknown);
    await expect(client.remove(ThingKind, { name: 'a' })).rejects.toMatchObject(unknown);
    await expect(client.change(ThingKind, { name: 'a' }, () => {})).rejects.toMatchObject(unknown);
  });

  test.each([
    ['no JSON', '<html>'],
    ['no object', '{"type":"ADDED","object":{}}'],
    ['an error that is ours', '{"type":"ERROR","object":{"code":400,"message":"unknown version"}}'],
  ])('a watch that says %s is answered with a new list', async (_what, line) => {
    const { told } = await aWatcher();
    await until(() => expect(api.watches).toBe(1));
    api.isSilent = true;
    api.put('a');
    api.isSilent = false;
    api.version += 1;
    api.say(line);
    await until(() => expect(told).toEqual(['added a -→-']));
    expect(api.count(`GET ${PATH}`)).toBeGreaterThan(1);
  });

  test('an API that is busy is asked again from where the watch was, and only after a while for everything', async () => {
    const { told } = await aWatcher();
    await until(() => expect(api.watches).toBe(1));
    let busy = 1;
    api.fault = ({ method }) => (method === 'WATCH' && busy-- > 0 ? [503, { message: 'storage is initializing' }] : undefined);
    api.drop();
    api.put('a');
    await until(() => expect(told).toEqual(['added a -→-']));
    expect(api.count(`GET ${PATH}`)).toBe(1);
    busy = 4;
    api.drop();
    await until(() => expect(api.count(`GET ${PATH}`)).toBe(2));
  });

  test('a server that closes every watch at once is not asked in a circle', async () => {
    api.fault = ({ method }) => (method === 'WATCH' ? [200, ''] : undefined);
    const started = performance.now();
    await aWatcher({ timing: { backoffMs: { first: 50, most: 10_000, missing: 50 } } });
    await until(() => expect(api.count('WATCH')).toBeGreaterThan(4));
    // Waits of 50, 100, 200 and 400 ms, each at most halved by chance.
    expect(performance.now() - started).toBeGreaterThan(370);
  });

  test('large lists come in pages, and in one when the pages expired', async () => {
    for (let index = 0; index < 1201; index++) api.put(`t${index}`);
    const { client } = await aWatcher();
    expect(await client.list(ThingKind)).toHaveLength(1201);
    expect(api.count(`GET ${PATH}?limit=500`)).toBe(3);
    api.fault = ({ url }) => (url.searchParams.get('continue') === '500' ? [410, { reason: 'Expired' }] : undefined);
    expect(await client.list(ThingKind, {}, { live: true })).toHaveLength(1201);
    expect(api.requests.at(-1)).toBe(`GET ${PATH}`);
  });
});

/** As aWatcher, for a kind whose watch never opens. */
async function aWatcherOfMissing() {
  const client = aClient();
  const told: string[] = [];
  const stop = new AbortController();
  void client.watch(ThingKind, ({ type, object }) => void told.push(`${type} ${object.metadata.name}`), stop.signal);
  client.start(stop.signal);
  await client.synced();
  return { client, told };
}

describe('reading', () => {
  test('a watched kind is read from the cache, live reads ask the API', async () => {
    api.put('a');
    const { client } = await aWatcher();
    const before = api.requests.length;
    expect((await client.get(ThingKind, { name: 'a' }))?.metadata.name).toBe('a');
    expect(await client.get(ThingKind, { name: 'b' })).toBeUndefined();
    expect(await client.list(ThingKind)).toHaveLength(1);
    const watches = () => api.requests.slice(before).filter((request) => !request.startsWith('WATCH'));
    expect(watches()).toEqual([]);
    await client.get(ThingKind, { name: 'a' }, { live: true });
    expect(watches()).toEqual([`GET ${PATH}/a`]);
  });

  test('before the cache is complete, reads ask the API', async () => {
    api.put('a', { spec: { color: 'red' } });
    let release = () => {};
    const held = new Promise<void>((resolve) => { release = resolve; }); // biome-ignore format: one line
    api.fault = ({ url, method }) => (method === 'GET' && url.searchParams.has('limit') && api.requests.length === 1 ? held : undefined);
    const client = aClient();
    client.index(ThingKind, 'color', ({ spec }) => [spec?.color ?? '']);
    client.start(new AbortController().signal);
    await until(() => expect(api.requests).toHaveLength(1));
    expect(await client.get(ThingKind, { name: 'a' })).toBeDefined();
    expect(await client.list(ThingKind)).toHaveLength(1);
    expect(await client.find(ThingKind, 'color', 'red')).toHaveLength(1);
    expect(await client.find(ThingKind, 'color', 'blue')).toHaveLength(0);
    // Whoever looks for many at once does not have the API list them all that often.
    const before = api.requests.length;
    const found = await Promise.all(['red', 'blue', 'red'].map((color) => client.find(ThingKind, 'color', color)));
    expect([found.map(({ length }) => length), api.requests.length - before]).toEqual([[1, 0, 1], 1]);
    release();
    await client.synced();
    expect(await client.find(ThingKind, 'color', 'red')).toHaveLength(1);
  });

  test('what was read live is not read older from the cache afterwards', async () => {
    api.put('a', { spec: { size: 1 } });
    const { client } = await aWatcher();
    api.isSilent = true;
    api.put('a', { spec: { size: 2 } });
    await client.get(ThingKind, { name: 'a' }, { live: true });
    expect((await client.get(ThingKind, { name: 'a' }))?.spec?.size).toBe(2);
  });

  test('objects cannot be edited in place, wherever they come from', async () => {
    api.put('a', { spec: { size: 1 } });
    const { client } = await aWatcher();
    const all = [
      await client.get(ThingKind, { name: 'a' }),
      await client.get(ThingKind, { name: 'a' }, { live: true }),
      (await client.list(ThingKind, {}, { live: true }))[0],
      await client.create(ThingKind, thing('b')),
      await client.change(ThingKind, { name: 'a' }, (draft) => void (draft.spec = { size: 5 })),
    ];
    for (const object of all) expect(() => (object!.spec!.size = 9)).toThrow(TypeError);
  });

  test('an index that fails on an object leaves it out and says so', async () => {
    const client = aClient();
    client.index(ThingKind, 'color', ({ spec }) => [spec!.color!.toUpperCase()]);
    client.start(new AbortController().signal);
    api.put('a');
    api.put('b', { spec: { color: 'red' } });
    await client.synced();
    await until(() => expect(logged.some(({ msg }) => msg === 'index "color" failed')).toBe(true));
    expect(await client.find(ThingKind, 'color', 'RED')).toHaveLength(1);
  });

  test('nothing is listed or kept of a kind that nobody watches', async () => {
    const client = aClient();
    client.start(new AbortController().signal);
    await client.synced();
    expect(await client.get(SecretKind, { namespace: 'default', name: 'a' })).toBeUndefined();
    expect(api.requests).toEqual(['GET /api/v1/namespaces/default/secrets/a']);
  });
});

describe('writing', () => {
  test('who wrote reads it at once, and readers are told once', async () => {
    const { client, told } = await aWatcher();
    await until(() => expect(api.watches).toBe(1));
    api.isSilent = true;
    await client.create(ThingKind, thing('a', 1));
    await client.change(ThingKind, { name: 'a' }, (draft) => void (draft.spec!.size = 2));
    expect((await client.get(ThingKind, { name: 'a' }))?.spec?.size).toBe(2);
    await client.remove(ThingKind, { name: 'a' });
    expect(await client.get(ThingKind, { name: 'a' })).toBeUndefined();
    api.isSilent = false;
    api.drop();
    api.put('b');
    await until(() => expect(told).toEqual(['added a -→1', 'changed a 1→2', 'removed a 2→2', 'added b -→-']));
  });

  test('an answer that comes after the removal by somebody else does not bring the object back', async () => {
    api.put('a', { spec: { size: 1 } });
    const { client, told } = await aWatcher();
    let release = () => {};
    const held = new Promise<void>((resolve) => { release = resolve; }); // biome-ignore format: one line
    api.fault = ({ method }) => (method === 'PATCH' ? held : undefined);
    const changed = client.change(ThingKind, { name: 'a' }, (draft) => void (draft.spec!.size = 2));
    await until(() => expect(told).toContain('changed a 1→2'));
    api.remove('a');
    await until(() => expect(told).toContain('removed a 2→2'));
    release();
    await changed;
    expect(await client.get(ThingKind, { name: 'a' })).toBeUndefined();
    expect(told).toEqual(['added a -→1', 'changed a 1→2', 'removed a 2→2']);
  });

  test('nothing is written where nothing changed', async () => {
    api.put('a', { spec: { size: 1 } });
    const { client } = await aWatcher();
    await client.change(ThingKind, { name: 'a' }, (draft) => void (draft.spec = { size: 1 }));
    expect(api.count('PATCH')).toBe(0);
  });

  test('that there is nothing to write is not concluded from a cache that is behind', async () => {
    api.put('a', { spec: { size: 1 } });
    const { client } = await aWatcher();
    api.isSilent = true;
    api.put('a', { spec: { size: 7 } });
    const changed = await client.change(ThingKind, { name: 'a' }, (draft) => void (draft.spec!.size = 1));
    expect([changed.spec?.size, api.things.get('a')?.spec?.size]).toEqual([1, 1]);
  });

  test('an edit that looks again after a conflict may abandon', async () => {
    api.put('a', { spec: { color: 'free' } });
    const { client } = await aWatcher();
    api.isSilent = true;
    api.put('a', { spec: { color: 'taken' } });
    const claim = (draft: Thing) => {
      if (draft.spec?.color !== 'free') return false;
      draft.spec.color = 'ours';
    };
    expect((await client.change(ThingKind, { name: 'a' }, claim)).spec?.color).toBe('taken');
    expect(api.things.get('a')?.spec?.color).toBe('taken');
  });

  test('a conflict is looked at again up to five times, then given up by its code', async () => {
    api.put('a', { spec: { size: 0 } });
    const { client } = await aWatcher();
    let conflicts = 5;
    api.fault = ({ method }) => (method === 'PATCH' && conflicts-- > 0 ? [409, { reason: 'Conflict' }] : undefined);
    const grow = (draft: Thing) => void (draft.spec!.size! += 1);
    expect((await client.change(ThingKind, { name: 'a' }, grow)).spec?.size).toBe(1);
    conflicts = 6;
    await expect(client.change(ThingKind, { name: 'a' }, grow)).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_CONFLICT' });
    expect(api.count('PATCH')).toBe(12);
  });

  test('status is written apart, after the rest and on top of its version', async () => {
    api.put('a', { spec: { size: 1 } });
    const client = aClient();
    const changed = await client.change(ThingKind, { name: 'a' }, (draft) => {
      draft.spec!.size = 2;
      draft.status = { ready: true };
    });
    expect(changed).toMatchObject({ spec: { size: 2 }, status: { ready: true } });
    expect(api.requests.filter((request) => request.startsWith('PATCH'))).toEqual([
      `PATCH ${PATH}/a?fieldManager=sidero-test`,
      `PATCH ${PATH}/a/status?fieldManager=sidero-test`,
    ]);
    expect(api.bodies).toEqual([
      { metadata: { resourceVersion: '101' }, spec: { size: 2 } },
      { metadata: { resourceVersion: '102' }, status: { ready: true } },
    ]);
  });

  test('a kind without status subresource takes all in one patch', async () => {
    api.put('a', { spec: { size: 1 } });
    const edit = (draft: Thing) => {
      draft.spec!.size = 2;
      draft.status = { ready: true };
    };
    await aClient().change({ ...ThingKind, statusSubresource: false }, { name: 'a' }, edit);
    expect(api.bodies).toEqual([{ metadata: { resourceVersion: '101' }, spec: { size: 2 }, status: { ready: true } }]);
  });

  test('what is not there: changing it is an error with a code, removing it is none', async () => {
    const client = aClient();
    await expect(client.change(ThingKind, { name: 'a' }, () => {})).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_MISSING' });
    await client.remove(ThingKind, { name: 'a' });
  });

  test('what exists cannot be created again', async () => {
    api.put('a');
    await expect(aClient().create(ThingKind, thing('a'))).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_EXISTS' });
  });

  test.each(['', '.', '..', 'a/b', '%2e'])('the name "%s" never reaches the API, where it would mean something else', async (name) => {
    const client = aClient();
    await expect(client.remove(ThingKind, { name })).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_FAILED' });
    await expect(client.get(SecretKind, { namespace: name, name: 'a' })).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_FAILED' });
    await expect(client.create(SecretKind, { metadata: { name: 'a' } } as Secret)).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_FAILED' });
    expect(api.requests).toEqual([]);
  });
});

describe('the connection', () => {
  test('calls made before the cluster is there wait for it', async () => {
    api.put('a');
    const cluster = Promise.withResolvers<KubeConfig>();
    const read = aClient({ kubeConfig: cluster.promise }).get(ThingKind, { name: 'a' });
    cluster.resolve(api.kubeConfig());
    expect((await read)?.metadata.name).toBe('a');
  });

  test('calls after the end fail by their code', async () => {
    const client = aClient();
    await client.close();
    await expect(client.get(ThingKind, { name: 'a' })).rejects.toMatchObject({ code: 'SIDERO_CLUSTER_CLOSED' });
  });

  test('plain http is refused before anything is sent', async () => {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromClusterAndUser({ name: 'test', server: 'http://127.0.0.1:1', skipTLSVerify: true }, { name: 'test', token: 'secret' });
    await expect(aClient({ kubeConfig }).get(ThingKind, { name: 'a' })).rejects.toMatchObject({ code: 'SIDERO_CLUSTER_INVALID' });
  });

  test('a server with another certificate is not talked to', async () => {
    const kubeConfig = api.kubeConfig();
    kubeConfig.clusters = [{ ...kubeConfig.clusters[0]!, caData: '' }];
    await expect(aClient({ kubeConfig }).get(ThingKind, { name: 'a' })).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_UNREACHABLE' });
    expect(api.requests).toEqual([]);
  });

  test.each(['drop', 'away'])('a connection that fails (%s) is an error by its code that names the server', async (how) => {
    if (how === 'away') await api.down();
    else api.fault = () => 'drop';
    const failed = aClient().get(ThingKind, { name: 'a' });
    await expect(failed).rejects.toMatchObject({
      code: 'SIDERO_RESOURCE_UNREACHABLE',
      message: expect.stringMatching(/https:\/\/127\.0\.0\.1:\d+ does not answer: .+/),
    });
    if (how === 'away') await api.up();
  });

  test('a connection that breaks once is not noticed, except by a create, which might have been done', async () => {
    api.put('a');
    let breaks = 1;
    api.fault = () => (breaks-- > 0 ? 'drop' : undefined);
    const client = aClient();
    expect(await client.get(ThingKind, { name: 'a' })).toBeDefined();
    breaks = 1;
    await expect(client.create(ThingKind, thing('b'))).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_UNREACHABLE' });
    expect(api.requests.map((request) => request.split(' ')[0])).toEqual(['GET', 'GET', 'POST']);
  });

  test('an API that takes a call and never answers is given up', async () => {
    api.fault = () => 'hang';
    const hanging = aClient({ callTimeoutMs: 50 }).get(ThingKind, { name: 'a' });
    await expect(hanging).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_UNREACHABLE' });
  });

  test('a proxy that the kubeconfig names is used', async () => {
    api.put('a');
    const targets: string[] = [];
    const proxy = createHttpServer().on('connect', (request, near: Socket) => {
      targets.push(request.url!);
      const far = connect(Number(request.url!.split(':')[1]), '127.0.0.1', () => near.write('HTTP/1.1 200 OK\r\n\r\n'));
      near.on('error', () => far.destroy()).pipe(far);
      far.on('error', () => near.destroy()).pipe(near);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const kubeConfig = api.kubeConfig();
    const [cluster] = kubeConfig.clusters;
    kubeConfig.clusters = [{ ...cluster!, proxyUrl: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` }];
    const client = aClient({ kubeConfig });
    expect(await client.get(ThingKind, { name: 'a' })).toBeDefined();
    expect(targets).toEqual([new URL(cluster!.server).host]);
    await client.close();
    await new Promise((resolve) => proxy.close(resolve));
  });

  test('a token that was renewed is taken up when the old one is refused', async () => {
    api.put('a');
    let token = 'old';
    const client = aClient({ kubeConfig: api.kubeConfig(() => token) });
    await client.get(ThingKind, { name: 'a' });
    token = 'new';
    api.fault = (request) => (request.token === 'new' ? undefined : [401, { reason: 'Unauthorized', message: 'Unauthorized' }]);
    expect(await client.get(ThingKind, { name: 'a' })).toBeDefined();
    token = 'wrong';
    api.fault = () => [401, { reason: 'Unauthorized', message: 'Unauthorized' }];
    await expect(client.get(ThingKind, { name: 'a' })).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_FAILED', details: { status: 401 } });
  });

  test('a call that the API is too busy for is repeated when it says', async () => {
    api.put('a');
    let busy = 1;
    api.fault = () => (busy-- > 0 ? [429, { reason: 'TooManyRequests' }, { 'retry-after': '1' }] : undefined);
    expect(await aClient().get(ThingKind, { name: 'a' })).toBeDefined();
    expect(api.requests).toHaveLength(2);
  });

  test.each([
    ['an object that is none', 200, '{"metadata":{}}'],
    ['no JSON', 200, '<html>'],
    ['a refusal in words', 403, '{"kind":"Status","message":"things is forbidden"}'],
    ['a refusal without a word', 500, ''],
  ])('%s is an error by its code', async (_what, status, body) => {
    api.fault = () => [status, body];
    const client = aClient();
    await expect(client.get(ThingKind, { name: 'a' })).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_FAILED', details: { status } });
    await expect(client.list(ThingKind)).rejects.toMatchObject({ code: 'SIDERO_RESOURCE_FAILED' });
  });
});

describe('Events', () => {
  const events: KubeObject[] = [];
  const about: Thing = { ...thing('a'), metadata: { name: 'a', uid: 'u' } };

  beforeEach(() => {
    events.length = 0;
    api.fault = ({ method, url }) => {
      if (!url.pathname.startsWith('/api/v1/namespaces/default/events')) return undefined;
      if (method === 'POST') events.push(api.bodies.at(-1) as KubeObject);
      return [
        method === 'POST' ? 201 : 200,
        {
          metadata: { resourceVersion: '1', name: events.at(-1)!.metadata.name, namespace: 'default' },
          count: events.length > 0 ? api.bodies.length : 1,
        },
      ];
    };
  });

  test('the same one again raises the count of the first, also at the same time', async () => {
    const client = aClient();
    const event = { type: 'Normal', reason: 'Accepted', message: 'serial X is in list' } as const;
    await Promise.all([client.record(about, event), client.record(about, event), client.record(about, event)]);
    expect(events).toMatchObject([
      { involvedObject: { kind: 'Thing', name: 'a', uid: 'u' }, reason: 'Accepted', type: 'Normal', count: 1, source: { component: 'sidero-test' } },
    ]);
    expect(api.bodies.slice(1)).toEqual([expect.objectContaining({ count: 2 }), expect.objectContaining({ count: 3 })]);
    await client.record(about, { ...event, message: 'another' });
    expect(events).toHaveLength(2);
  });

  test('a flood about one object is cut off, and others are not affected', async () => {
    const client = aClient();
    for (let index = 0; index < 60; index++) await client.record(about, { type: 'Warning', reason: 'Flood', message: `${index}` });
    expect(events).toHaveLength(25);
    await client.record({ ...about, metadata: { name: 'b', uid: 'v' } }, { type: 'Normal', reason: 'Other', message: 'x' });
    expect(events).toHaveLength(26);
  });

  test('carry no secret', async () => {
    await aClient().record(about, { type: 'Warning', reason: 'BMC', message: 'login with password=hunter2 failed' });
    expect(JSON.stringify(events)).not.toContain('hunter2');
  });

  test('that cannot be written are logged, never thrown', async () => {
    api.fault = () => [403, { message: 'forbidden' }];
    await aClient().record(about, { type: 'Normal', reason: 'X', message: 'y' });
    expect(logged).toMatchObject([{ msg: 'an Event could not be written' }]);
  });
});
