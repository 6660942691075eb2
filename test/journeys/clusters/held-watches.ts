import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { Kind, KubeObject } from '@sidero/core';
import type { ApiServer } from '@sidero/plugin-apiserver';
import { Agent } from 'undici';
import { makeAuthority, makeServerCertificate } from '../../../plugins/apiserver/src/certificates.ts';

type KubeConfig = ApiServer['kubeConfig'];

/** What the watches of one kind say passes here, a line at a time. */
class Gate {
  #isOpen = true;
  #waiting: { readonly line: string; readonly pass: () => void }[] = [];
  #came = Promise.withResolvers<void>();

  async through(line: string): Promise<void> {
    if (this.#isOpen) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ line, pass: resolve });
    this.#came.resolve();
    await promise;
  }

  close(): void {
    this.#isOpen = false;
    this.#came = Promise.withResolvers();
  }

  open(): void {
    this.#isOpen = true;
    for (const { pass } of this.#waiting.splice(0)) pass();
  }

  async letOnePass(): Promise<string> {
    await this.#came.promise;
    this.#came = Promise.withResolvers();
    const { line, pass } = this.#waiting.shift()!;
    pass();
    return line;
  }
}

/** The door of an API: who comes through it is answered as ever, but hears of changes only when he is let. */
export class HeldWatches implements AsyncDisposable {
  /** Leads through this door. */
  readonly kubeConfig: KubeConfig;
  readonly #gates = new Map<string, Gate>();
  readonly #asked = new Map<string, PromiseWithResolvers<void>>();
  readonly #close: () => Promise<void>;

  static async start(api: Pick<ApiServer, 'kubeConfig' | 'caPem' | 'url'>): Promise<HeldWatches> {
    const authority = await makeAuthority();
    const { certPem: cert, keyPem: key } = await makeServerCertificate(authority, ['127.0.0.1']);
    const wire = new Agent({ connect: { ca: api.caPem }, headersTimeout: 0, bodyTimeout: 0 });
    const server = createServer({ cert, key }, (request, response) => {
      const { plural, object, isWatch } = askedFor(request);
      if (request.method === 'GET' && !isWatch) for (const what of [plural, object]) door.#asked.get(what)?.resolve();
      const gate = isWatch ? door.#gate(plural) : undefined;
      // Whoever asked may be gone.
      forward({ request, response }, { wire, origin: api.url, gate }).catch(() => response.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const door: HeldWatches = new HeldWatches(kubeConfigThrough(api.kubeConfig, { port, caPem: authority.certPem }), async () => {
      server.closeAllConnections();
      await Promise.all([new Promise((resolve) => server.close(resolve)), wire.destroy()]);
    });
    return door;
  }

  private constructor(kubeConfig: KubeConfig, close: () => Promise<void>) {
    this.kubeConfig = kubeConfig;
    this.#close = close;
  }

  /** From now on nobody behind this door hears of changes of these kinds. */
  hold(...kinds: readonly Kind<KubeObject>[]): void {
    for (const { plural } of kinds) this.#gate(plural).close();
  }

  /** Lets the oldest change that is held pass, and waits for one; gives its type. */
  async letOnePass({ plural }: Kind<KubeObject>): Promise<'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'> {
    const { type } = JSON.parse(await this.#gate(plural).letOnePass()) as { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' };
    return type;
  }

  /** Resolves when the API itself is asked what there is of a kind. */
  nextList({ plural }: Kind<KubeObject>): Promise<void> {
    const asked = Promise.withResolvers<void>();
    this.#asked.set(plural, asked);
    return asked.promise;
  }

  /** Resolves when the API itself is asked for an object. */
  nextGet({ plural }: Kind<KubeObject>, name: string): Promise<void> {
    const asked = Promise.withResolvers<void>();
    this.#asked.set(`${plural}/${name}`, asked);
    return asked.promise;
  }

  /** Everything that was held is heard. */
  release(): void {
    for (const gate of this.#gates.values()) gate.open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.#close();
  }

  #gate(plural: string): Gate {
    const known = this.#gates.get(plural) ?? new Gate();
    this.#gates.set(plural, known);
    return known;
  }
}

// The last part of the path of a list or a watch is the kind, and the last two are kind and name of an object.
function askedFor({ url = '/' }: IncomingMessage): { plural: string; object: string; isWatch: boolean } {
  const { pathname, searchParams } = new URL(url, 'https://api');
  const parts = pathname.split('/');
  return { plural: parts.at(-1)!, object: parts.slice(-2).join('/'), isWatch: ['1', 'true'].includes(searchParams.get('watch') ?? '') };
}

function kubeConfigThrough(kubeConfig: KubeConfig, { port, caPem }: { port: number; caPem: string }): KubeConfig {
  const caData = Buffer.from(caPem).toString('base64');
  const clusters = kubeConfig.clusters.map((cluster) => ({ ...cluster, server: `https://127.0.0.1:${port}`, caData }));
  return Object.assign(Object.create(Object.getPrototypeOf(kubeConfig) as object) as KubeConfig, kubeConfig, { clusters });
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function forward({ request, response }: Exchange, given: { wire: Agent; origin: string; gate: Gate | undefined }): Promise<void> {
  const { wire, origin, gate } = given;
  const { host: _host, connection: _connection, ...headers } = request.headers;
  const stop = new AbortController();
  response.on('close', () => stop.abort());
  const answer = await wire.request({
    origin,
    path: request.url ?? '/',
    method: request.method as 'GET',
    headers,
    body: request.method === 'GET' ? null : request,
    signal: stop.signal,
  });
  response.writeHead(answer.statusCode, answer.headers);
  if (gate) response.flushHeaders();
  await (gate ? pipeline(answer.body, (chunks) => throughGate(chunks, gate), response) : pipeline(answer.body, response));
}

async function* throughGate(chunks: AsyncIterable<Buffer>, gate: Gate): AsyncGenerator<Buffer, void, undefined> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.subarray(0, end + 1);
      await gate.through(line.toString());
      yield line;
      rest = rest.subarray(end + 1);
    }
  }
}
