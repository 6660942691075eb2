import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import type { PowerSession, Server } from '@sidero/core';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { managementApiDriver, poweredOn } from './driver.ts';
import { placeOf } from './power-api.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const signal = new AbortController().signal;

/** A server of the API; gives its `host:port`. */
async function served(listener: RequestListener, address = '127.0.0.1'): Promise<string> {
  const server: HttpServer = createServer(listener);
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function aServer(endpoint: string | undefined): Server {
  const managementApi = endpoint === undefined ? {} : { managementApi: { endpoint } };
  return { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: 'vm-1' }, spec: { accepted: true, ...managementApi } };
}

async function opened(endpoint: string, options: Partial<Parameters<typeof managementApiDriver>[0]> = {}): Promise<Required<PowerSession>> {
  const driver = managementApiDriver({ timeoutMs: 5000, explicitFailure: 0, silentFailure: 0, ...options });
  const session = await driver.open(aServer(endpoint), { login: undefined, signal });
  closing.push(() => session[Symbol.asyncDispose]());
  return session as Required<PowerSession>;
}

const answering = (status: number, body = '', headers: Record<string, string> = {}) =>
  served((_, response) => response.writeHead(status, headers).end(body));

describe('orders', () => {
  test.each<['on' | 'off' | 'cycle', string]>([
    ['on', '/poweron'],
    ['off', '/poweroff'],
    ['cycle', '/reboot'],
  ])('%s is POST %s without a body', async (verb, path) => {
    const asked: IncomingMessage[] = [];
    const session = await opened(
      await served((request, response) => {
        asked.push(request);
        response.end();
      }),
    );
    await session[verb](signal);
    expect(asked.map(({ method, url, headers }) => [method, url, headers['content-length']])).toEqual([['POST', path, '0']]);
  });

  test.each(['uefi', 'bios'] as const)('a network boot as %s is POST /pxeboot', async (mode) => {
    const asked: unknown[] = [];
    const session = await opened(
      await served(({ method, url }, response) => {
        asked.push(`${method} ${url}`);
        response.end();
      }),
    );
    await session.networkBootOnce(mode, signal);
    expect(asked).toEqual(['POST /pxeboot']);
  });

  test('over IPv6, and below a path', async () => {
    const asked: unknown[] = [];
    const endpoint = await served(({ url }, response) => {
      asked.push(url);
      response.end();
    }, '::1');
    await (await opened(endpoint)).on(signal);
    await (await opened(`http://${endpoint}/vms/1/`)).on(signal);
    expect(asked).toEqual(['/poweron', '/vms/1/poweron']);
  });
});

describe('the state', () => {
  test.each([true, false])('is what /status says: %s', async (isOn) => {
    expect(await (await opened(await answering(200, `{"PoweredOn":${isOn}}\n`))).isOn(signal)).toBe(isOn);
  });

  test.each([
    ['an object without it', '{}'],
    ['another type', '{"PoweredOn":"true"}'],
    ['no object', 'null'],
    ['no JSON', '<html>'],
    ['nothing', ''],
  ])('is a fault when /status answers %s: never "off"', async (_, body) => {
    await expect((await opened(await answering(200, body))).isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
  });

  test('is a fault when the status is not 200, whatever the body says', async () => {
    const asked = (await opened(await answering(500, '{"PoweredOn":false}'))).isOn(signal);
    await expect(asked).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('API error: 500 Internal Server Error') });
  });

  test('is read in any case of the key', () => {
    expect(poweredOn('{"poweredon":true}')).toBe(true);
  });

  test('is read from anything without a throw', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (body) => [true, false, undefined].includes(poweredOn(body))));
  });
});

describe('a call fails', () => {
  test.each<[number, string]>([
    [201, 'SIDERO_BMC_FAULT'],
    [401, 'SIDERO_BMC_AUTH'],
    [403, 'SIDERO_BMC_AUTH'],
    [404, 'SIDERO_BMC_UNSUPPORTED'],
    [429, 'SIDERO_BMC_BUSY'],
    [500, 'SIDERO_BMC_FAULT'],
    [501, 'SIDERO_BMC_UNSUPPORTED'],
    [503, 'SIDERO_BMC_BUSY'],
  ])('with status %s: %s', async (status, code) => {
    await expect((await opened(await answering(status))).on(signal)).rejects.toMatchObject({ code, message: expect.stringContaining('vm-1') });
  });

  test('with a redirect, which is not followed', async () => {
    let followed = 0;
    const elsewhere = await served((_, response) => {
      followed++;
      response.end();
    });
    const session = await opened(await answering(307, '', { location: `http://${elsewhere}/poweron` }));
    await expect(session.on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
    expect(followed).toBe(0);
  });

  test('with nobody there', async () => {
    await expect((await opened('127.0.0.1:1')).on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
  });

  test.each<[string, RequestListener]>([
    ['no answer', () => {}],
    ['half an answer', (_, response) => response.writeHead(200, { 'content-length': '9' }).write('{')],
  ])('with %s in time', async (_, listener) => {
    const session = await opened(await served(listener), { timeoutMs: 50 });
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE', message: expect.stringContaining('in 50 ms') });
  });

  test('with an answer that does not end', async () => {
    const session = await opened(await answering(200, 'x'.repeat(100_000)));
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
  });

  test('with a connection that is taken and never becomes TLS', async () => {
    const mute = createTcpServer().listen(0, '127.0.0.1');
    closing.push(() => mute.close());
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    const startedMs = performance.now();
    await expect((await opened(`https://127.0.0.1:${port}`, { timeoutMs: 100 })).on(signal)).rejects.toMatchObject({
      code: 'SIDERO_BMC_UNREACHABLE',
    });
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });

  test('with the reason of its signal', async () => {
    const stop = new AbortController();
    const session = await opened(await served(() => stop.abort(new Error('enough'))));
    await expect(session.on(stop.signal)).rejects.toThrow('enough');
  });
});

describe('an endpoint', () => {
  const driver = managementApiDriver({ timeoutMs: 5000, explicitFailure: 0, silentFailure: 0 });

  test('makes a Server ours', () => {
    expect(driver.claims(aServer('10.0.0.1:5000'))).toBe(true);
    expect(driver.claims(aServer(''))).toBe(false);
    expect(driver.claims(aServer(undefined))).toBe(false);
    expect(driver.deviceOf?.(aServer('10.0.0.1:5000'))).toBe('10.0.0.1:5000');
  });

  test.each([
    ['10.0.0.1:5000', { origin: 'http://10.0.0.1:5000', prefix: '' }],
    ['vm.lab', { origin: 'http://vm.lab', prefix: '' }],
    ['https://vm.lab/power/', { origin: 'https://vm.lab', prefix: '/power' }],
  ])('%s is taken', (endpoint, place) => expect(placeOf(endpoint)).toEqual(place));

  test.each(['', '10.0.0.1:5000:1', 'ftp://a', 'http://user:pass@a', 'http://', 'a b', 'http://a?b=c'])('"%s" is none', async (endpoint) => {
    expect(placeOf(endpoint)).toBeUndefined();
    await expect(driver.open(aServer(endpoint), { login: undefined, signal })).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
  });
});

describe('in tests', () => {
  test('a failure is told when it is explicit', async () => {
    const session = await opened('127.0.0.1:1', { explicitFailure: 1 });
    await expect(session.on(signal)).rejects.toThrow('simulated failure from the power management');
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
  });

  test('and not told when it is silent', async () => {
    const session = await opened('127.0.0.1:1', { silentFailure: 1 });
    await session.networkBootOnce('uefi', signal);
    expect([true, false]).toContain(await session.isOn(signal));
  });
});
