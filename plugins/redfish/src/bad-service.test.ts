import { createServer } from 'node:net';
import { once } from 'node:events';
import { type PowerSession, SideroError } from '@sidero/core';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aDriver, aServerWith, openOn, signal } from './driver.fixture.ts';
import { aSystem, FakeService, LOGIN } from './fake-service.fixture.ts';

const SYSTEM = '/redfish/v1/Systems/1';
const RESET = `POST ${SYSTEM}/Actions/ComputerSystem.Reset`;

let service: FakeService;
const stack: AsyncDisposable[] = [];
beforeEach(async () => {
  service = await new FakeService().listen();
  stack.push(service);
});
afterEach(async () => {
  for (const thing of stack.splice(0).reverse()) await thing[Symbol.asyncDispose]();
});

async function open(options: Parameters<typeof openOn>[1] = {}): Promise<Required<PowerSession>> {
  const session = await openOn(service, options);
  stack.push(session);
  return session;
}

describe('an answer', () => {
  test.each<[string, string, string]>([
    ['an HTML page', '<html><head><style>b{}</style></head><body><h1>It is broken</h1></body></html>', '"It is broken"'],
    ['no JSON', '{"PowerState":', '"{"PowerState":"'],
    ['no object', '[1]', '"[1]"'],
    ['null', 'null', '"null"'],
    ['nothing', '', 'no JSON object'],
  ])('that is %s is a fault with a short clause', async (_, body, told) => {
    const session = await open();
    service.answer(`GET ${SYSTEM}`, 200, { body });
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining(told) });
  });

  test('that is long is cut', async () => {
    const session = await open();
    service.answer(`GET ${SYSTEM}`, 500, { body: `<p>${'\u0007word '.repeat(10_000)}` });
    const failed = await session.isOn(signal).catch(String);
    expect(failed).toContain('word word');
    expect(String(failed).length).toBeLessThan(350);
    expect(failed).not.toContain('\u0007');
  });

  test('of more than 4 MiB is a fault', async () => {
    const session = await open();
    service.answer(`GET ${SYSTEM}`, 200, { body: { Name: 'x'.repeat(4 * 1024 * 1024) } });
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('4194304 bytes') });
  });

  test('that repeats the login does not bring it into an error', async () => {
    service.instead.set('POST /redfish/v1/SessionService/Sessions', (_, response) => response.writeHead(500).end(service.asked.at(-1)!.body));
    const failed = await openOn(service).catch(String);
    expect(failed).toContain('[hidden]');
    expect(failed).not.toContain('battery');
  });

  test('whose links repeat the login does not bring it into an error, either', async () => {
    service.answer('GET /redfish/v1/', 200, { body: { Systems: { '@odata.id': `/${LOGIN.pass}/${'long/'.repeat(300)}` } } });
    const failed = await openOn(service, { auth: 'basic' }).then(() => '', String);
    expect(failed).toContain('status 404');
    expect(failed.length).toBeLessThan(400);
    expect(failed).not.toMatch(/battery/);
  });

  test('that does not come in time is unreachable', async () => {
    const session = await open({ timeoutMs: 1000 });
    service.instead.set(`GET ${SYSTEM}`, () => {});
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE', message: expect.stringContaining('in 1000 ms') });
    service.instead.set(`GET ${SYSTEM}`, (_, response) => void response.writeHead(200).write('{'));
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
  });

  test('that breaks off is asked for again when it was read, and not when it was ordered', async () => {
    const session = await open();
    service.instead.set(`GET ${SYSTEM}`, (_, response) => {
      service.instead.delete(`GET ${SYSTEM}`);
      response.destroy();
    });
    expect(await session.isOn(signal)).toBe(false);
    service.instead.set(RESET, (_, response) => void response.destroy());
    await expect(session.on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
    expect(service.whats('POST').filter((what) => what === RESET)).toHaveLength(1);
  });

  test('that is no HTTP is unreachable', async () => {
    const garbage = createServer((socket) => void socket.end('SSH-2.0-BMC\r\n')).listen(0, '127.0.0.1');
    stack.push({ [Symbol.asyncDispose]: async () => void garbage.close() });
    await once(garbage, 'listening');
    const { port } = garbage.address() as { port: number };
    const opened = aDriver().open(aServerWith({ endpoint: `http://127.0.0.1:${port}` }), { login: LOGIN, signal });
    await expect(opened).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
  });

  test('that does not even come in the TLS handshake is waited for no longer than any other', async () => {
    const mute = createServer().listen(0, '127.0.0.1');
    stack.push({ [Symbol.asyncDispose]: async () => void mute.close() });
    await once(mute, 'listening');
    const { port } = mute.address() as { port: number };
    const server = aServerWith({ endpoint: '127.0.0.1', port });
    const startedMs = performance.now();
    const opened = aDriver({ timeoutMs: 100 }).open(server, { login: LOGIN, signal });
    await expect(opened).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE', message: expect.stringContaining('in 100 ms') });
    const stop = new AbortController();
    mute.once('connection', () => stop.abort(new Error('enough')));
    await expect(aDriver({ timeoutMs: 60_000 }).open(server, { login: LOGIN, signal: stop.signal })).rejects.toThrow('enough');
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });

  test('is not waited for after the signal', async () => {
    const session = await open();
    const stop = new AbortController();
    service.instead.set(`GET ${SYSTEM}`, () => stop.abort(new Error('enough')));
    await expect(session.isOn(stop.signal)).rejects.toThrow('enough');
    await expect(session.on(stop.signal)).rejects.toThrow('enough');
  });
});

describe('a busy service', () => {
  test.each([503, 429])('(%s) is asked again when it says when', async (status) => {
    const session = await open();
    let times = 0;
    service.instead.set(`GET ${SYSTEM}`, (_, response) => {
      if (++times === 2) service.instead.delete(`GET ${SYSTEM}`);
      response.writeHead(status, { 'retry-after': '0' }).end();
    });
    expect(await session.isOn(signal)).toBe(false);
    expect(times).toBe(2);
  });

  test.each<[string, Record<string, string>]>([
    ['for too long', { 'retry-after': '11' }],
    ['until a date that is too far', { 'retry-after': 'Fri, 31 Dec 2099 23:59:59 GMT' }],
    ['without a time', {}],
    ['with a time that is none', { 'retry-after': 'soon' }],
    ['again and again', { 'retry-after': '0' }],
  ])('that is busy %s is SIDERO_BMC_BUSY', async (_, headers) => {
    const session = await open();
    service.answer(RESET, 503, { headers });
    await expect(session.on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_BUSY' });
    expect(service.whats().filter((what) => what === RESET).length).toBeLessThan(6);
  });
});

describe('a way elsewhere', () => {
  let elsewhere: FakeService;
  beforeEach(async () => {
    elsewhere = await new FakeService().listen();
    stack.push(elsewhere);
  });

  test.each([301, 302, 307, 308])('by a redirect (%s) is refused, and nothing is sent there', async (status) => {
    const session = await open();
    service.answer(`GET ${SYSTEM}`, status, { headers: { location: `${elsewhere.url}${SYSTEM}` } });
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('another host') });
    expect(elsewhere.asked).toEqual([]);
  });

  test.each<[string, (to: string) => void]>([
    ['of its systems', (to) => service.answer('GET /redfish/v1/', 200, { body: { Systems: { '@odata.id': to } } })],
    ['of a system', (to) => service.answer('GET /redfish/v1/Systems', 200, { body: { Members: [{ '@odata.id': to }] } })],
    ['of its sessions', (to) => service.answer('GET /redfish/v1/', 200, { body: { Links: { Sessions: { '@odata.id': to } } } })],
  ])('by a link %s is refused', async (_, lead) => {
    lead(`${elsewhere.url}/redfish/v1/Systems`);
    await expect(openOn(service, { auth: 'auto' })).rejects.toMatchObject({ code: expect.stringMatching(/^SIDERO_BMC_(FAULT|UNSUPPORTED)$/) });
    lead(`//127.0.0.1:${elsewhere.port}/redfish/v1/Systems`);
    await expect(openOn(service)).rejects.toBeInstanceOf(SideroError);
    expect(elsewhere.asked).toEqual([]);
  });

  test('by the target of Reset is refused', async () => {
    service.systems.get('1')!.Actions = { '#ComputerSystem.Reset': { target: `${elsewhere.url}/reset` } };
    await expect((await open()).on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
    expect(elsewhere.asked).toEqual([]);
  });

  test('within the service is gone once, for reading', async () => {
    const session = await open();
    service.answer(`GET ${SYSTEM}`, 302, { headers: { location: '/here' } });
    service.answer('GET /here', 200, { body: { ...aSystem() } });
    expect(await session.isOn(signal)).toBe(false);
    service.answer('GET /here', 302, { headers: { location: '/there' } });
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('circles') });
    service.instead.delete(`GET ${SYSTEM}`);
    service.answer(RESET, 307, { headers: { location: '/here' } });
    await expect(session.on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('for reading only') });
    expect(service.whats('POST')).not.toContain('POST /here');
  });
});

describe('a task', () => {
  const MONITOR = '/redfish/v1/TaskService/TaskMonitors/1';
  const begun = () => service.answer(RESET, 202, { headers: { location: MONITOR }, body: { TaskState: 'New' } });

  test.each<[string, number, object]>([
    ['its monitor answers with the end', 204, {}],
    ['it is completed', 200, { TaskState: 'Completed', TaskStatus: 'OK' }],
    ['it is forgotten', 404, {}],
  ])('is waited for until %s', async (_, status, body) => {
    const session = await open();
    begun();
    let looks = 0;
    service.instead.set(`GET ${MONITOR}`, (_, response) => {
      const isRunning = ++looks < 3;
      response.writeHead(isRunning && looks === 1 ? 202 : isRunning ? 200 : status).end(JSON.stringify(isRunning ? { TaskState: 'Running' } : body));
    });
    await session.on(signal);
    expect(looks).toBe(3);
  });

  test.each([
    { how: 'fails', status: 200, body: { TaskState: 'Exception', Messages: [null, { Message: 'no power supply' }] }, told: 'no power supply' },
    { how: 'ends badly', status: 200, body: { TaskState: 'Completed', TaskStatus: 'Critical' }, told: 'Completed' },
    { how: 'is killed', status: 200, body: { TaskState: 'Killed' }, told: 'Killed' },
    { how: 'cannot be read', status: 500, body: {}, told: 'status 500' },
  ])('that $how is a fault', async ({ status, body, told }) => {
    const session = await open();
    begun();
    service.answer(`GET ${MONITOR}`, status, { body });
    await expect(session.on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining(told) });
  });

  test('that does not end is SIDERO_BMC_BUSY', async () => {
    const session = await open({ taskMs: 50, lookMs: 10 });
    begun();
    service.answer(`GET ${MONITOR}`, 202);
    await expect(session.on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_BUSY', message: expect.stringContaining('50 ms') });
  });

  test.each([
    ['in its body', {}, { '@odata.id': MONITOR, TaskState: 'New' }],
    ['under another name of its host', { location: `https://bmc.lab${MONITOR}` }, {}],
  ])('whose place is told %s is found', async (_, headers, body) => {
    const session = await open();
    service.answer(RESET, 202, { headers: { ...headers }, body: { ...body } });
    service.answer(`GET ${MONITOR}`, 200, { body: { TaskState: 'Exception' } });
    await expect(session.on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('Exception') });
  });

  test('is looked at in peace, also when it wants to be looked at all the time', async () => {
    const session = await open({ taskMs: 200, lookMs: 50 });
    begun();
    service.answer(`GET ${MONITOR}`, 202, { headers: { 'retry-after': '0' } });
    await expect(session.on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_BUSY' });
    expect(service.whats().filter((what) => what === `GET ${MONITOR}`).length).toBeLessThan(5);
  });

  test('that nobody can look at is taken for done', async () => {
    const session = await open();
    service.answer(RESET, 202);
    await session.on(signal);
  });
});

describe('Redfish that may not be there', () => {
  const guessed = (endpoint: string) => aServerWith({ endpoint, interface: '' });

  test('is asked of Servers that name no interface only with prefer', () => {
    for (const prefer of [true, false]) {
      const driver = aDriver({ prefer });
      expect(
        ['redfish', '', undefined, 'lanplus', 'lan'].map((named) => driver.claims(aServerWith(named === undefined ? {} : { interface: named }))),
      ).toEqual([true, prefer, true, false, false]);
      expect(driver.claims(guessed('10.0.0.7'))).toBe(prefer);
    }
  });

  test('is used where it is', async () => {
    const session = await aDriver({ prefer: true }).open(guessed(service.url), { login: LOGIN, signal });
    stack.push(session);
    expect(await session.isOn?.(signal)).toBe(false);
  });

  test.each([404, 501])('is unsupported where it is not (%s), and not asked for again for a while', async (status) => {
    const driver = aDriver({ prefer: true });
    service.answer('GET /redfish/v1/', status);
    for (const _ of [1, 2]) {
      await expect(driver.open(guessed(service.url), { login: LOGIN, signal })).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
    }
    expect(service.asked).toHaveLength(1);
    await expect(driver.open(aServerWith({ endpoint: service.url }), { login: LOGIN, signal })).rejects.toMatchObject({
      code: 'SIDERO_BMC_UNSUPPORTED',
    });
    expect(service.asked).toHaveLength(2);
  });

  test('is asked for again after the while', async () => {
    const driver = aDriver({ prefer: true, absenceMs: 0 });
    service.answer('GET /redfish/v1/', 404);
    for (const _ of [1, 2]) await expect(driver.open(guessed(service.url), { login: LOGIN, signal })).rejects.toBeInstanceOf(SideroError);
    expect(service.asked).toHaveLength(2);
  });

  test.each<[string, string, string]>([
    ['a guess', '', 'SIDERO_BMC_UNSUPPORTED'],
    ['asked for', 'redfish', 'SIDERO_BMC_UNREACHABLE'],
  ])('with nobody there is, when it was %s, %s', async (_, named, code) => {
    const server = aServerWith({ endpoint: 'http://127.0.0.1:1', interface: named });
    await expect(aDriver({ prefer: true }).open(server, { login: LOGIN, signal })).rejects.toMatchObject({
      code,
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

test('whatever bytes come back, an error is one of ours', async () => {
  let bytes = Buffer.alloc(0);
  const garbage = createServer((socket) => socket.on('error', () => {}).on('data', () => void socket.end(bytes))).listen(0, '127.0.0.1');
  stack.push({ [Symbol.asyncDispose]: async () => void garbage.close() });
  await once(garbage, 'listening');
  const { port } = garbage.address() as { port: number };
  const head = fc.constantFrom(
    '',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    'HTTP/1.1 503 \r\n',
  );
  await fc.assert(
    fc.asyncProperty(head, fc.uint8Array({ maxLength: 200 }), async (start, rest) => {
      bytes = Buffer.concat([Buffer.from(start), rest]);
      const opened = aDriver({ timeoutMs: 300, auth: 'basic' }).open(aServerWith({ endpoint: `http://127.0.0.1:${port}` }), { login: LOGIN, signal });
      await expect(opened).rejects.toMatchObject({ code: expect.stringMatching(/^SIDERO_BMC_/) });
    }),
    { numRuns: 100 },
  );
});

test('whatever a service answers, an error is one of ours', async () => {
  const json = fc.oneof(
    fc.json(),
    fc.string(),
    fc.json({ maxDepth: 1 }).map((value) => `{"PowerState":${value},"Boot":${value},"Actions":${value}}`),
  );
  const status = fc.constantFrom(200, 200, 200, 201, 204, 302, 400, 401, 404, 409, 412, 500);
  const answers = fc.record({ root: json, systems: json, system: json, status });
  await fc.assert(
    fc.asyncProperty(answers, async ({ root, systems, system, status }) => {
      const isWhole = root.length % 2 === 0;
      if (!isWhole) service.answer('GET /redfish/v1/', status, { body: root });
      else service.instead.delete('GET /redfish/v1/');
      if (systems.length % 2 === 0) service.answer('GET /redfish/v1/Systems', status, { body: systems });
      else service.instead.delete('GET /redfish/v1/Systems');
      service.answer(`GET ${SYSTEM}`, status, { body: system });
      try {
        await using session = await openOn(service);
        for (const verb of [session.isOn, session.on, session.cycle, session.probe]) await verb(signal);
        await session.networkBootOnce('uefi', signal);
      } catch (thrown) {
        if (!(thrown instanceof SideroError) || !thrown.code.startsWith('SIDERO_BMC_')) throw thrown;
      }
    }),
    { numRuns: 150 },
  );
});
