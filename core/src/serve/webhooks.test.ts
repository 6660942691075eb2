import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createLogger } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { RegistryTable } from '../registry.ts';
import type { CustomResource } from '../resources/custom-resource.ts';
import { coreCustomResources } from '../resources/custom-resources.ts';
import { selfSigned } from './self-signed.ts';
import { webhookListener, webhookService } from './webhooks.ts';

const HUB = 'metal.sidero.dev/v1alpha2';
/** Nobody else's connection starts from this address, so a port that was free stays free. */
const HOST = '127.0.90.1';
const OLD = 'metal.sidero.dev/v1alpha1';
const metrics = createMetrics();
const log = createLogger({ level: 'silent' });

function registry() {
  const customResources = new RegistryTable<CustomResource>('customResources').for('core');
  for (const resource of coreCustomResources()) customResources.add(resource);
  return customResources;
}

const aServer = (apiVersion: string, spec: object = { accepted: true }) => ({ apiVersion, kind: 'Server', metadata: { name: 'a' }, spec });
const conversion = (objects: unknown, desiredAPIVersion = HUB) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'ConversionReview',
  request: { uid: 'u-1', desiredAPIVersion, objects },
});
const admission = (object: unknown, operation = 'CREATE') => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: { uid: 'u-2', operation, name: 'a', object },
});

describe('the handler', () => {
  const server = createServer(webhookListener({ customResources: registry(), log, metrics }));
  let url = '';
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close().closeAllConnections());

  async function post(path: string, body: unknown) {
    const answer = await fetch(url + path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, text, json: text.startsWith('{') ? (JSON.parse(text) as Record<string, never>) : undefined };
  }

  test('converts all objects of a review and echoes its uid and version', async () => {
    const { status, json } = await post('/convert', conversion([aServer(OLD, { accepted: true, cpu: { version: 'Gold' } }), aServer(HUB)]));
    expect(status).toBe(200);
    expect(json).toEqual({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'ConversionReview',
      response: {
        uid: 'u-1',
        result: { status: 'Success' },
        convertedObjects: [aServer(HUB, { accepted: true, hardware: { compute: { processors: [{ productName: 'Gold' }] } } }), aServer(HUB)],
      },
    });
    expect((await post('/convert', { ...conversion([]), apiVersion: 'apiextensions.k8s.io/v1beta1' })).json).toMatchObject({
      apiVersion: 'apiextensions.k8s.io/v1beta1',
    });
  });

  test('converts the items of a list, also those that leave their kind to the list', async () => {
    const list = {
      apiVersion: OLD,
      kind: 'ServerList',
      metadata: { resourceVersion: '7' },
      items: [aServer(OLD), { metadata: { name: 'b' }, spec: { accepted: false } }],
    };
    const { json } = await post('/convert', conversion([list]));
    expect(json).toMatchObject({
      response: {
        convertedObjects: [
          {
            apiVersion: HUB,
            kind: 'ServerList',
            metadata: { resourceVersion: '7' },
            items: [aServer(HUB), { apiVersion: HUB, kind: 'Server', metadata: { name: 'b' } }],
          },
        ],
      },
    });
  });

  test.each([
    ['an object that has no counterpart', aServer(OLD, { accepted: 'yes' }), /spec.accepted is a string, not a boolean/],
    [
      'a kind that is not ours',
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {} },
      /Deployment of apps\/v1 is no kind that is converted here/,
    ],
    [
      'a list with an item that is none',
      { apiVersion: OLD, kind: 'ServerList', metadata: {}, items: [{ metadata: null }] },
      /an item of ServerList is no object/,
    ],
  ])('fails a review with %s, converting nothing', async (_, object, message) => {
    const { status, json } = await post('/convert', conversion([aServer(OLD), object]));
    expect(status).toBe(200);
    expect(json).toMatchObject({
      response: { uid: 'u-1', convertedObjects: [], result: { status: 'Failure', message: expect.stringMatching(message) } },
    });
  });

  test.each(['v1alpha1', 'v1alpha2'])('judges a Server of %s', async (version) => {
    const path = `/validate-metal-sidero-dev-${version}-server`;
    expect((await post(path, admission(aServer(`metal.sidero.dev/${version}`)))).json).toEqual({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: 'u-2', allowed: true },
    });
    const denied = await post(path, admission(aServer(`metal.sidero.dev/${version}`, { pxeMode: 'x' }), 'UPDATE'));
    expect(denied).toMatchObject({
      status: 200,
      json: { response: { uid: 'u-2', allowed: false, status: { code: 422, reason: 'Invalid', details: { name: 'a' } } } },
    });
    expect((await post(path, admission(null, 'DELETE'))).json).toMatchObject({ response: { allowed: true } });
  });

  test('denies an object whose types are wrong', async () => {
    const { json } = await post('/validate-metal-sidero-dev-v1alpha2-server', admission(aServer(HUB, { configPatches: 5 })));
    expect(json).toMatchObject({ response: { allowed: false, status: { code: 400, message: 'spec.configPatches is a number, not an array' } } });
  });

  test('has no path for a kind without rules', async () => {
    expect(await post('/validate-metal-sidero-dev-v1alpha2-environment', admission(null))).toMatchObject({ status: 404 });
  });

  test.each([
    ['no JSON', '{', /not JSON/],
    ['no review', '{}', /no review: apiVersion/],
    ['a review of something else', admission(null), /no review: apiVersion/],
    ['a review without a request', { ...conversion([]), request: undefined }, /no review: request/],
    ['an object that is none', conversion([5]), /no review: request.objects.0: not an object with apiVersion, kind and metadata/],
    ['an empty body', '', /not JSON/],
  ])('answers %s with 400', async (_, body, text) => {
    expect(await post('/convert', body)).toMatchObject({ status: 400, text: expect.stringMatching(text) });
  });

  test('answers anything but a POST with 405', async () => {
    expect((await fetch(`${url}/convert`)).status).toBe(405);
  });

  test('answers a body that is too long with 413 and stays up', async () => {
    const { status } = await post('/validate-metal-sidero-dev-v1alpha2-server', ' '.repeat(9 * 2 ** 20));
    expect(status).toBe(413);
    expect((await post('/convert', conversion([]))).status).toBe(200);
  });

  test('answers any JSON with a review or a reason', async () => {
    const some = fc.oneof(
      fc.json(),
      fc.jsonValue().map((objects) => JSON.stringify(conversion(objects))),
      fc.jsonValue().map((spec) => JSON.stringify(conversion([{ ...aServer(OLD), spec }]))),
      fc.jsonValue().map((items) => JSON.stringify(conversion([{ apiVersion: OLD, kind: 'ServerList', metadata: {}, items }]))),
    );
    await fc.assert(
      fc.asyncProperty(some, fc.constantFrom('/convert', '/validate-metal-sidero-dev-v1alpha2-server'), async (body, path) => {
        expect([200, 400]).toContain((await post(path, body)).status);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the service', () => {
  let stop = new AbortController();
  beforeEach(() => {
    stop = new AbortController();
  });
  afterEach(() => stop.abort());

  test('listens at once with a certificate that it is given, and says when its port is taken', async () => {
    const given = { customResources: registry(), log, metrics, host: HOST, port: await freePort(), certificate: await selfSigned('given') };
    const ready = Promise.withResolvers<void>();
    const done = webhookService(given).run(stop.signal, ready.resolve);
    await ready.promise;
    expect(await servedName(given.port)).toBe('CN=given');
    await expect(webhookService(given).run(stop.signal, () => undefined)).rejects.toMatchObject({ code: 'SIDERO_LISTEN_FAILED' });
    stop.abort();
    await done;
  });

  test('waits for its certificate, then listens, and follows a renewal', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sidero-webhooks-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const port = await freePort();
    const said: string[] = [];
    const service = webhookService({
      customResources: registry(),
      metrics,
      host: HOST,
      port,
      pollMs: 10,
      certificate: { directory },
      log: createLogger({
        destination: { write: (line: string) => said.push((JSON.parse(line) as { msg: string }).msg) } as unknown as NodeJS.WritableStream,
      }),
    });
    const ready = vi.fn();
    const done = service.run(stop.signal, ready);
    await expect.poll(() => ready.mock.calls.length).toBe(1);
    await expect(servedName(port)).rejects.toThrow(/ECONNREFUSED/);

    await put(directory, await selfSigned('first'));
    await expect.poll(() => servedName(port).catch(() => '')).toBe('CN=first');
    await put(directory, await selfSigned('second'));
    await expect.poll(() => servedName(port)).toBe('CN=second');
    // Half a pair: it keeps what it has.
    for (const key of ['', (await selfSigned('third')).key]) {
      const before = said.length;
      await writeFile(join(directory, 'tls.key'), key);
      await expect.poll(() => said.slice(before)).toContain('the webhooks keep their certificate');
      expect(await servedName(port)).toBe('CN=second');
    }
    expect(said.filter((line) => line.includes('wait for a certificate'))).toHaveLength(1);

    stop.abort();
    await done;
    await expect(servedName(port)).rejects.toThrow(/ECONNREFUSED/);
  });
});

/** Both files at once, as far as a watcher can tell: key first, then the certificate that makes the pair. */
async function put(directory: string, { key, cert }: { key: string; cert: string }): Promise<void> {
  for (const [name, text] of [
    ['tls.key', key],
    ['tls.crt', cert],
  ] as const) {
    await writeFile(join(directory, `.${name}`), text);
    await rename(join(directory, `.${name}`), join(directory, name));
  }
}

async function servedName(port: number): Promise<string> {
  const socket = connect({ host: HOST, port, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    return new X509Certificate(socket.getPeerCertificate().raw).subject;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
