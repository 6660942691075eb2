import { request } from 'node:https';
import type { CustomResource, CustomResourceDefinition } from '@sidero/core';
import { type ApiServer, type ApiServerOptions, startApiServer } from './api-server.ts';
import type { JsonObject } from './object.ts';

const statusSchema = {
  type: 'object',
  properties: { ready: { type: 'boolean' }, conditions: { type: 'array', items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } },
};

const partsSchema = {
  type: 'array',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['name'],
  items: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, count: { type: 'integer' } } },
};

function widgetSchema(size: 'size' | 'length') {
  const spec = {
    type: 'object',
    required: ['colour'],
    properties: {
      colour: { type: 'string' },
      [size]: { type: 'integer' },
      weight: { type: 'integer', default: 5 },
      parts: partsSchema,
      anything: { 'x-kubernetes-preserve-unknown-fields': true },
    },
  };
  return { openAPIV3Schema: { type: 'object', description: 'A thing for tests.', properties: { spec, status: statusSchema } } };
}

const columns = [
  { name: 'Colour', type: 'string', jsonPath: '.spec.colour' },
  { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
  { name: 'Cluster', type: 'string', jsonPath: '.metadata.labels.example\\.dev/cluster', priority: 1 },
];

/** A kind with two versions: `v1` keeps `spec.size`, `v1alpha1` calls it `spec.length`; colour "pink" is refused. */
export function widgets(): CustomResource {
  const subresources = { status: {} };
  const definition: CustomResourceDefinition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.dev' },
    spec: {
      group: 'example.dev',
      scope: 'Cluster',
      names: { kind: 'Widget', listKind: 'WidgetList', plural: 'widgets', singular: 'widget' },
      versions: [
        { name: 'v1alpha1', served: true, storage: false, subresources, schema: widgetSchema('length') },
        { name: 'v1', served: true, storage: true, subresources, schema: widgetSchema('size'), additionalPrinterColumns: columns },
      ],
    },
  };
  return { name: 'widgets.example.dev', definition, convert: convertWidget, validate: refusePink };
}

const convertWidget: NonNullable<CustomResource['convert']> = (object, toApiVersion) => {
  const { spec, ...rest } = object as typeof object & { spec?: JsonObject };
  const [from, to] = toApiVersion === 'example.dev/v1' ? ['length', 'size'] : ['size', 'length'];
  if (!spec) return { ...rest, apiVersion: toApiVersion };
  if (spec['colour'] === 'broken') throw new Error('no such colour');
  const { [from]: size, ...others } = spec;
  return { ...rest, apiVersion: toApiVersion, spec: { ...others, ...(size === undefined ? {} : { [to]: size }) } } as typeof object;
};

const refusePink: NonNullable<CustomResource['validate']> = ({ operation, object }) => {
  const { spec } = (object ?? {}) as { spec?: JsonObject };
  if (operation === 'DELETE' || spec?.['colour'] !== 'pink') return { allowed: true };
  return { allowed: false, reason: 'Invalid', errors: [{ field: 'spec.colour', value: 'pink', detail: 'valid values are: all but pink' }] };
};

export interface Reply {
  readonly code: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  /** The body as JSON; empty when it is none. */
  readonly body: JsonObject & { metadata?: JsonObject; items?: JsonObject[]; message?: string; reason?: string };
}

export interface CallOptions {
  readonly body?: unknown;
  readonly type?: string;
  readonly accept?: string;
  readonly headers?: Record<string, string>;
}

/** What is needed to call a server. */
type Target = Pick<ApiServer, 'url' | 'token' | 'caPem'>;

/** An API of its own, and a way to call it over a real socket. */
export interface TestApi extends AsyncDisposable {
  readonly server: ApiServer;
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** Lines of a watch, as they come. Ends when the server ends it or `stop` is called. */
  watch(path: string, options?: CallOptions): Promise<TestWatch>;
}

export interface TestWatch {
  /** The next event. */
  next(): Promise<{ type: string; object: JsonObject & { metadata: JsonObject } }>;
  /** Resolves when the server has ended the watch. */
  readonly ended: Promise<void>;
  stop(): void;
}

export async function testApi(options: Partial<ApiServerOptions> = {}): Promise<TestApi> {
  const server = await startApiServer({ customResources: [widgets()], ...options });
  return {
    server,
    call: (method, path, given) => call(server, { method, path, ...given }),
    watch: (path, given) => watch(server, { method: 'GET', path, ...given }),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

function open(server: Target, { method, path, type, accept, headers, body }: CallOptions & { method: string; path: string }) {
  const bytes = body === undefined ? undefined : typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const outgoing = request(server.url + path, {
    method,
    ca: server.caPem,
    agent: false,
    headers: {
      Authorization: `Bearer ${server.token}`,
      ...(bytes === undefined ? {} : { 'Content-Type': type ?? 'application/json', 'Content-Length': Buffer.byteLength(bytes) }),
      ...(accept ? { Accept: accept } : {}),
      ...headers,
    },
  });
  outgoing.end(bytes);
  return outgoing;
}

/** One call to a server, which may run in another process. */
export function call(server: Target, given: CallOptions & { method: string; path: string }): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const outgoing = open(server, given);
  outgoing.on('error', reject);
  outgoing.on('response', (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      let body: Reply['body'] = {};
      if (text.startsWith('{')) body = JSON.parse(text) as Reply['body'];
      resolve({ code: response.statusCode ?? 0, headers: response.headers, text, body });
    });
  });
  return promise;
}

async function watch(server: Target, given: CallOptions & { method: string; path: string }): Promise<TestWatch> {
  const outgoing = open(server, given);
  const events: Awaited<ReturnType<TestWatch['next']>>[] = [];
  const waiting: ((event: Awaited<ReturnType<TestWatch['next']>>) => void)[] = [];
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  let rest = '';
  outgoing.on('error', () => ended.resolve());
  outgoing.on('response', (response) => {
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const event = JSON.parse(line) as (typeof events)[number];
        const next = waiting.shift();
        if (next) next(event);
        else events.push(event);
      }
    });
    response.on('close', () => ended.resolve());
    started.resolve();
  });
  await started.promise;
  return {
    next: () => {
      const event = events.shift();
      return event ? Promise.resolve(event) : new Promise((resolve) => waiting.push(resolve));
    },
    ended: ended.promise,
    stop: () => outgoing.destroy(),
  };
}
