import { once } from 'node:events';
import { connect } from 'node:net';
import { Client, credentials, type ServiceDefinition } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { createGrpc } from './grpc.ts';
import { createHttp } from './http.ts';
import { type OpenPort, openPort } from './port.ts';

const echo: ServiceDefinition = {
  Echo: {
    path: '/test.Echo/Echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: Buffer.from,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: Buffer.from,
    responseDeserialize: (bytes) => bytes,
  },
};
let port: OpenPort;
afterEach(() => port.close());

async function open({ headersTimeoutMs, ...options }: { sniffTimeoutMs?: number; maxConnections?: number; headersTimeoutMs?: number } = {}) {
  const metrics = createMetrics();
  const log = createLogger({ level: 'silent' });
  const routes = [
    { plugin: 'test', route: { method: 'GET', path: '/hello', handler: (context: { body: unknown }) => void (context.body = 'hi') } } as const,
  ];
  const grpc = createGrpc([
    {
      plugin: 'test',
      definition: echo,
      handlers: { Echo: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) => done(null, call.request) },
    },
  ]);
  port = await openPort(
    { host: '127.0.0.1', port: 0 },
    { http: createHttp({ routes, log, metrics, ...(headersTimeoutMs ? { headersTimeoutMs } : {}) }), grpc, metrics, ...options },
  );
  return { url: `http://127.0.0.1:${port.port}`, metrics };
}

function call(text: string): Promise<string> {
  const client = new Client(`127.0.0.1:${port.port}`, credentials.createInsecure());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      '/test.Echo/Echo',
      (value: Buffer) => value,
      (bytes) => bytes,
      Buffer.from(text),
      (error, value) => {
        client.close();
        if (error) reject(error);
        else resolve(String(value));
      },
    );
  });
}

test('one port answers HTTP/1.1 and gRPC', async () => {
  const { url } = await open();
  expect(await (await fetch(`${url}/hello`)).text()).toBe('hi');
  expect(await call('over gRPC')).toBe('over gRPC');
});

test('a request whose first bytes come one by one is served', async () => {
  await open();
  const socket = connect(port.port, '127.0.0.1');
  for (const character of 'GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n') socket.write(character);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 200 OK[^]*hi$/);
});

test('a client that says nothing is dropped, and counted', async () => {
  const { metrics } = await open({ sniffTimeoutMs: 30 });
  const socket = connect(port.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await new Promise((settle) => socket.on('close', settle));
  expect(await metrics.text()).toContain('sidero_connections_dropped_total{reason="silent"} 1');
});

test('garbage gets a 400 and the next client is served', async () => {
  const { url, metrics } = await open();
  const socket = connect(port.port, '127.0.0.1');
  socket.end(Buffer.from([0, 1, 2, 3, 255, 254, 13, 10]));
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  expect(Buffer.concat(chunks).toString()).toContain('400 Bad Request');
  expect((await fetch(`${url}/hello`)).status).toBe(200);
  expect(await metrics.text()).toContain('sidero_http_malformed_total 1');
});

test('an HTTP/2 preface followed by garbage hurts nobody else', async () => {
  const { url } = await open();
  const socket = connect(port.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.end('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and then nonsense');
  socket.resume();
  await once(socket, 'close');
  expect((await fetch(`${url}/hello`)).status).toBe(200);
  expect(await call('still here')).toBe('still here');
});

test('unknown paths are 404 as the original words it, and methods are checked', async () => {
  const { url } = await open();
  const missing = await fetch(`${url}/nope`);
  expect([missing.status, await missing.text(), missing.headers.get('x-content-type-options')]).toEqual([404, '404 page not found\n', 'nosniff']);
  expect((await fetch(`${url}/hello`, { method: 'POST' })).status).toBe(405);
  expect((await fetch(`${url}/hello`, { method: 'HEAD' })).status).toBe(200);
});

test('an absurd URL is refused', async () => {
  const { url } = await open();
  expect((await fetch(`${url}/hello?x=${'a'.repeat(5000)}`)).status).toBe(414);
});

test('connections beyond the limit are dropped, not queued', async () => {
  const { metrics } = await open({ maxConnections: 1 });
  const first = connect(port.port, '127.0.0.1');
  await once(first, 'connect');
  const second = connect(port.port, '127.0.0.1');
  second.on('error', () => undefined);
  await once(second, 'close');
  expect(await metrics.text()).toContain('sidero_connections_dropped_total{reason="limit"} 1');
  first.destroy();
});

test('a client that never ends its request head is cut off', async () => {
  await open({ headersTimeoutMs: 50 });
  const socket = connect(port.port, '127.0.0.1');
  socket.write('GET /hello HTTP/1.1\r\nHost: x\r\n');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await new Promise((settle) => socket.on('close', settle));
  expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 408/);
});

test('closing cuts a half-open connection at once', async () => {
  await open();
  const socket = connect(port.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const cut = new Promise((settle) => socket.on('close', settle));
  await once(socket, 'connect');
  socket.write('GE');
  await port.close();
  await cut;
});
