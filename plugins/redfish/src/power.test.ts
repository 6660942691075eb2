import { type PowerSession, SideroError } from '@sidero/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { aDriver, aServerWith, openOn, signal, UUID } from './driver.fixture.ts';
import { aSystem, FakeService, LOGIN, problem } from './fake-service.fixture.ts';

const SYSTEM = '/redfish/v1/Systems/1';
const RESET = `POST ${SYSTEM}/Actions/ComputerSystem.Reset`;
const SESSIONS = '/redfish/v1/SessionService/Sessions';

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

function one(): ReturnType<typeof aSystem> {
  return service.systems.get('1')!;
}

/** Changes the Boot of the system: `undefined` takes a member out. */
function withBoot(overrides: Record<string, unknown>): void {
  one().Boot = { ...one().Boot, ...overrides };
}

function withResetTypes(types: readonly string[] | undefined): void {
  one().Actions = { '#ComputerSystem.Reset': { 'ResetType@Redfish.AllowableValues': types } };
}

describe('power', () => {
  test.each<[unknown, boolean]>([
    ['On', true],
    ['Off', false],
    ['PoweringOn', true],
    ['PoweringOff', true],
  ])('%s is on: %s', async (state, isOn) => {
    one().PowerState = state;
    expect(await (await open()).isOn(signal)).toBe(isOn);
  });

  test.each([null, undefined, 'Sleeping', 7, ['On']])('%s is a fault, and neither on nor off', async (state) => {
    one().PowerState = state;
    await expect((await open()).isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('PowerState') });
  });

  test.each<['on' | 'off' | 'cycle' | 'soft', unknown, string]>([
    ['on', 'Off', 'On'],
    ['off', 'On', 'ForceOff'],
    ['soft', 'On', 'GracefulShutdown'],
    ['cycle', 'On', 'PowerCycle'],
  ])('%s of a machine that is %s is a Reset of type %s', async (verb, state, type) => {
    one().PowerState = state;
    await (await open())[verb](signal);
    expect(service.bodies(RESET)).toEqual([{ ResetType: type }]);
  });

  test.each<['on' | 'cycle', string[], string]>([
    ['on', ['ForceOn', 'ForceOff'], 'ForceOn'],
    ['cycle', ['On', 'ForceRestart'], 'ForceRestart'],
  ])('%s takes what there is', async (verb, types, type) => {
    service.answer(RESET, 204);
    withResetTypes(types);
    await (await open())[verb](signal);
    expect(service.bodies(RESET)).toEqual([{ ResetType: type }]);
  });

  test('takes what every service has, when it does not say', async () => {
    one().PowerState = 'On';
    withResetTypes(undefined);
    await (await open()).cycle(signal);
    expect(service.bodies(RESET)).toEqual([{ ResetType: 'ForceRestart' }]);
  });

  test('asks an ActionInfo what there is', async () => {
    const info = '/redfish/v1/Systems/1/ResetActionInfo';
    one().Actions = { '#ComputerSystem.Reset': { '@Redfish.ActionInfo': info } };
    service.answer(`GET ${info}`, 200, { body: { Parameters: [null, { Name: 'ResetType', AllowableValues: ['ForceOn'] }] } });
    service.answer(RESET, 204);
    await (await open()).on(signal);
    expect(service.bodies(RESET)).toEqual([{ ResetType: 'ForceOn' }]);
  });

  test.each<['on' | 'off' | 'soft' | 'cycle']>([['on'], ['off'], ['soft'], ['cycle']])(
    '%s is unsupported without a ResetType for it',
    async (verb) => {
      withResetTypes(['Nmi']);
      await expect((await open())[verb](signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED', message: expect.stringContaining('Nmi') });
      expect(service.whats('POST')).toHaveLength(1);
    },
  );

  test('without Actions is unsupported', async () => {
    one().Actions = undefined;
    await expect((await open()).on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
  });

  test.each<['on' | 'off' | 'soft', string]>([
    ['on', 'On'],
    ['off', 'Off'],
    ['soft', 'Off'],
  ])('%s when it is %s already is no error, though the service says so', async (verb, state) => {
    one().PowerState = state;
    await (await open())[verb](signal);
    expect(service.bodies(RESET)).toHaveLength(1);
  });

  test('a refused order is a fault when the state is not as wanted', async () => {
    service.answer(RESET, 400, { body: problem('the front panel is locked') });
    const told = { code: 'SIDERO_BMC_FAULT', message: expect.stringContaining('the front panel is locked') };
    await expect((await open()).on(signal)).rejects.toMatchObject(told);
  });

  test('a cycle that is refused because the machine is off is unsupported', async () => {
    await expect((await open()).cycle(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED', message: expect.stringContaining('is off') });
  });
});

describe('a network boot', () => {
  const wish = { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once', BootSourceOverrideMode: 'UEFI' };

  test.each([
    { mode: 'uefi', networkBoot: 'pxe', target: 'Pxe', overrideMode: 'UEFI' },
    { mode: 'bios', networkBoot: 'pxe', target: 'Pxe', overrideMode: 'Legacy' },
    { mode: 'uefi', networkBoot: 'uefi-http', target: 'UefiHttp', overrideMode: 'UEFI' },
    { mode: 'bios', networkBoot: 'uefi-http', target: 'Pxe', overrideMode: 'Legacy' },
  ] as const)('as $mode with $networkBoot is $target, once, in mode $overrideMode', async ({ mode, networkBoot, target, overrideMode }) => {
    await (await open({ networkBoot })).networkBootOnce(mode, signal);
    const Boot = { BootSourceOverrideTarget: target, BootSourceOverrideEnabled: 'Once', BootSourceOverrideMode: overrideMode };
    expect(service.bodies(`PATCH ${SYSTEM}`).at(-1)).toEqual({ Boot });
    expect(one().Boot).toMatchObject(Boot);
  });

  test('names the version that was read', async () => {
    await (await open()).networkBootOnce('uefi', signal);
    expect(service.asked.find(({ what }) => what.startsWith('PATCH'))?.headers['if-match']).toBe('"7"');
  });

  test('looks again, once, when the version has changed', async () => {
    let isFirst = true;
    const session = await open();
    service.instead.set(`PATCH ${SYSTEM}`, (_, response) => {
      if (isFirst) one().etag = 9;
      else one().Boot = wish;
      response.writeHead(isFirst ? 412 : 204).end();
      isFirst = false;
    });
    await session.networkBootOnce('uefi', signal);
    expect(service.asked.filter(({ what }) => what.startsWith('PATCH')).map(({ headers }) => headers['if-match'])).toEqual(['"7"', '"9"']);
    service.answer(`PATCH ${SYSTEM}`, 412);
    await expect(session.networkBootOnce('uefi', signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
    expect(service.whats('PATCH')).toHaveLength(4);
  });

  test('leaves the mode out where there is none', async () => {
    withBoot({ BootSourceOverrideMode: undefined });
    await (await open()).networkBootOnce('uefi', signal);
    expect(service.bodies(`PATCH ${SYSTEM}`)).toEqual([{ Boot: { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' } }]);
  });

  test('leaves the mode out where it is right and cannot be written', async () => {
    withBoot({ BootSourceOverrideMode: 'UEFI' });
    const session = await open();
    service.instead.set(`PATCH ${SYSTEM}`, (_, response) => {
      const { Boot } = service.bodies(`PATCH ${SYSTEM}`).at(-1) as { Boot: Record<string, unknown> };
      const isRefused = 'BootSourceOverrideMode' in Boot;
      if (!isRefused) withBoot(Boot);
      response.writeHead(isRefused ? 400 : 204).end();
    });
    await session.networkBootOnce('uefi', signal);
    expect(one().Boot).toMatchObject(wish);
  });

  test.each([
    ['BootSourceOverrideTarget@Redfish.AllowableValues', ['None', 'Hdd']],
    ['BootSourceOverrideEnabled@Redfish.AllowableValues', ['Disabled', 'Continuous']],
    ['BootSourceOverrideMode@Redfish.AllowableValues', ['Legacy']],
  ])('is unsupported when %s is %s', async (member, values) => {
    withBoot({ [member]: values });
    await expect((await open()).networkBootOnce('uefi', signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
    expect(service.whats('PATCH')).toEqual([]);
  });

  test('over HTTP is set after the mode, which may be what brings it', async () => {
    const targets = 'BootSourceOverrideTarget@Redfish.AllowableValues';
    withBoot({ [targets]: ['Pxe'] });
    const session = await open({ networkBoot: 'uefi-http' });
    service.instead.set(`PATCH ${SYSTEM}`, (_, response) => {
      withBoot({ ...(service.bodies(`PATCH ${SYSTEM}`).at(-1) as { Boot: object }).Boot, [targets]: ['Pxe', 'UefiHttp'] });
      response.writeHead(204).end();
    });
    await session.networkBootOnce('uefi', signal);
    expect(service.bodies(`PATCH ${SYSTEM}`)[0]).toEqual({ Boot: { BootSourceOverrideMode: 'UEFI' } });
    expect(one().Boot).toMatchObject({ ...wish, BootSourceOverrideTarget: 'UefiHttp' });
  });

  test('is unsupported without Boot', async () => {
    one().Boot = undefined;
    await expect((await open()).networkBootOnce('uefi', signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
  });

  test.each([
    ['the target did not stay', { BootSourceOverrideTarget: 'Hdd' }],
    ['the override is off', { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Disabled' }],
  ])('is a fault when %s', async (_, boot) => {
    withBoot(boot);
    const session = await open();
    service.answer(`PATCH ${SYSTEM}`, 204);
    await expect(session.networkBootOnce('uefi', signal)).rejects.toMatchObject({
      code: 'SIDERO_BMC_FAULT',
      message: expect.stringContaining('did not stay'),
    });
  });

  test('may show late', async () => {
    const session = await open();
    service.answer(`PATCH ${SYSTEM}`, 204);
    service.instead.set(`GET ${SYSTEM}`, (_, response) => {
      const looks = service.asked.slice(service.whats().indexOf(`PATCH ${SYSTEM}`)).filter(({ what }) => what === `GET ${SYSTEM}`).length;
      const isPatched = service.whats('PATCH').length > 0;
      response.end(JSON.stringify({ Boot: isPatched && looks > 1 ? wish : one().Boot }));
    });
    await session.networkBootOnce('uefi', signal);
  });

  test('that the service keeps in its own way is told in the log', async () => {
    const info = vi.fn();
    withBoot({ BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Continuous' });
    const session = await open({ log: { info } });
    service.answer(`PATCH ${SYSTEM}`, 204);
    await session.networkBootOnce('bios', signal);
    expect(info).toHaveBeenCalledWith({ server: UUID, driver: 'redfish' }, expect.stringContaining('BootSourceOverrideEnabled is Continuous'));
  });
});

describe('a login', () => {
  test('is a session where there are sessions, and ends with the session', async () => {
    const session = await openOn(service);
    await session.isOn(signal);
    expect(service.whats('POST')).toEqual([`POST ${SESSIONS}`]);
    expect(service.asked.some(({ headers }) => headers.authorization)).toBe(false);
    await session[Symbol.asyncDispose]();
    expect(service.whats('DELETE')).toEqual([`DELETE ${SESSIONS}/0`]);
  });

  test('is shared by the Servers behind one service, until the last is done', async () => {
    const other = UUID.replace('4d32', '4d33');
    service.systems.set('2', aSystem({ UUID: other, Actions: { '#ComputerSystem.Reset': {} } }));
    const driver = aDriver();
    const sessions = await Promise.all(
      [UUID, other].map((name) => driver.open(aServerWith({ endpoint: service.url }, { name }), { login: LOGIN, signal })),
    );
    expect(service.whats('POST')).toHaveLength(1);
    await sessions[0]!.on(signal);
    await sessions[0]![Symbol.asyncDispose]();
    await sessions[0]![Symbol.asyncDispose]();
    await sessions[1]!.on(signal);
    expect(service.whats('DELETE')).toEqual([]);
    await sessions[1]![Symbol.asyncDispose]();
    expect(service.whats('DELETE')).toHaveLength(1);
    expect([...service.systems.values()].map(({ PowerState }) => PowerState)).toEqual(['On', 'On']);
  });

  test('that was given up leaves the next one to log in itself', async () => {
    const stop = new AbortController();
    const driver = aDriver();
    const server = aServerWith({ endpoint: service.url });
    service.instead.set(`POST ${SESSIONS}`, () => {
      service.instead.delete(`POST ${SESSIONS}`);
      stop.abort(new Error('enough'));
    });
    const [first, second] = await Promise.allSettled([
      driver.open(server, { login: LOGIN, signal: stop.signal }),
      driver.open(server, { login: LOGIN, signal }),
    ]);
    expect(first).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
    expect(second.status).toBe('fulfilled');
    if (second.status === 'fulfilled') stack.push(second.value);
  });

  test.each<['auto' | 'basic', boolean]>([
    ['auto', false],
    ['basic', true],
  ])('is basic with %s when sessions are there: %s', async (auth, hasSessions) => {
    service.hasSessions = hasSessions;
    const session = await open({ auth });
    expect(await session.isOn(signal)).toBe(false);
    expect(service.sessions.size).toBe(0);
    expect(await session.probe(signal)).toMatchObject({ Login: 'basic' });
  });

  test('is basic when the sessions are all taken', async () => {
    service.answer(`POST ${SESSIONS}`, 400, { body: problem('too many sessions') });
    expect(await (await open()).isOn(signal)).toBe(false);
    await expect(openOn(service, { auth: 'session' })).rejects.toMatchObject({ message: expect.stringContaining('too many sessions') });
  });

  test('is given when the service asks for it at its entry', async () => {
    service.hasSessions = false;
    let tries = 0;
    service.instead.set('GET /redfish/v1/', ({ headers }, response) => {
      tries++;
      response.writeHead(headers.authorization ? 200 : 401).end(JSON.stringify({ Systems: { '@odata.id': '/redfish/v1/Systems' } }));
    });
    expect(await (await open()).isOn(signal)).toBe(false);
    expect(tries).toBe(2);
  });

  test('is made anew when the session has ended, once', async () => {
    const session = await open();
    service.sessions.clear();
    expect(await session.isOn(signal)).toBe(false);
    expect(service.whats('POST')).toHaveLength(2);
    service.answer(`GET ${SYSTEM}`, 401);
    await expect(session.isOn(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_AUTH' });
    expect(service.whats('POST')).toHaveLength(3);
  });

  test.each(['session', 'basic'] as const)('that is wrong is SIDERO_BMC_AUTH by %s, and never told', async (auth) => {
    service.password = 'another';
    const failed = await openOn(service, { auth }).catch((thrown: unknown) => thrown);
    expect(failed).toMatchObject({ code: 'SIDERO_BMC_AUTH' });
    expect(failed instanceof SideroError && failed.toText() + JSON.stringify(failed.details)).not.toMatch(/battery/);
    expect(service.whats().length).toBeLessThan(4);
  });

  test('that has no right is SIDERO_BMC_AUTH', async () => {
    service.answer(RESET, 403, { body: problem('insufficient privilege') });
    await expect((await open()).on(signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_AUTH', message: expect.stringContaining('insufficient') });
  });

  test('that is missing is SIDERO_BMC_AUTH', async () => {
    await expect(aDriver().open(aServerWith({ endpoint: service.url }), { login: undefined, signal })).rejects.toMatchObject({
      code: 'SIDERO_BMC_AUTH',
    });
    expect(service.asked).toEqual([]);
  });

  test.each(['', 'two words', 'a\u0001'])('without a usable token (%j) is a fault', async (token) => {
    service.instead.set(`POST ${SESSIONS}`, (_, response) => {
      response.socket?.end(`HTTP/1.1 201 Created\r\nx-auth-token: ${token.replace('\u0001', '\u00e9')}\r\ncontent-length: 2\r\n\r\n{}`);
    });
    await expect(openOn(service)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
  });

  test('whose session is told under another name of its host ends, too', async () => {
    service.answer(`POST ${SESSIONS}`, 201, { headers: { 'x-auth-token': 't', location: `https://bmc.lab${SESSIONS}/9` } });
    service.sessions.set('t', `${SESSIONS}/9`);
    await (await openOn(service))[Symbol.asyncDispose]();
    expect(service.whats('DELETE')).toEqual([`DELETE ${SESSIONS}/9`]);
    expect(service.sessions.size).toBe(0);
  });

  test('of a service that is gone ends all the same', async () => {
    const session = await openOn(service);
    service.instead.set(`DELETE ${SESSIONS}/0`, (_, response) => void response.destroy());
    await session[Symbol.asyncDispose]();
  });
});

describe('a password', () => {
  const account = '/redfish/v1/AccountService/Accounts/2';

  test('is changed for the user that is logged in, and used from then on', async () => {
    const session = await open();
    await session.changePassword('new "secret"', signal);
    expect(service.bodies(`PATCH ${account}`)).toEqual([{ Password: 'new "secret"' }]);
    service.sessions.clear();
    expect(await session.isOn(signal)).toBe(false);
  });

  test('that was changed leaves the old one to nobody, though a session under it is open', async () => {
    const driver = aDriver();
    const server = aServerWith({ endpoint: service.url });
    const session = await driver.open(server, { login: LOGIN, signal });
    stack.push(session);
    await session.changePassword?.('new', signal);
    await expect(driver.open(server, { login: LOGIN, signal })).rejects.toMatchObject({ code: 'SIDERO_BMC_AUTH' });
    stack.push(await driver.open(server, { login: { ...LOGIN, pass: 'new' }, signal }));
    expect(service.whats('POST')).toHaveLength(3);
  });

  test('that the service does not take is a fault that does not tell it', async () => {
    const session = await open();
    service.answer(`PATCH ${account}`, 400, { body: problem('"new secret" is too short') });
    const failed = await session.changePassword('new secret', signal).catch(String);
    expect(failed).toMatch(/is too short/);
    expect(failed).not.toMatch(/new secret/);
  });

  test('cannot be changed where the service has no accounts, and the session does not offer it', async () => {
    service.answer('GET /redfish/v1/', 200, { body: { Systems: { '@odata.id': '/redfish/v1/Systems' } } });
    expect((await open()).changePassword).toBeUndefined();
  });

  test.each([
    ['/redfish/v1/AccountService', {}],
    ['/redfish/v1/AccountService/Accounts', { Members: [] }],
  ])('is unsupported when %s has no such account', async (path, body) => {
    service.answer(`GET ${path}`, 200, { body });
    await expect((await open()).changePassword('new', signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
  });
});

test('a probe tells what the service offers', async () => {
  expect(await (await open()).probe(signal)).toEqual({
    Redfish: '1.15.0',
    System: '/redfish/v1/Systems/1, by UUID',
    Reset: 'On, ForceOff, GracefulShutdown, ForceRestart, PowerCycle',
    'Boot override': 'None, Pxe, Hdd, UefiHttp; Legacy',
    Login: 'session',
    ETag: 'yes',
    Trust: 'none, plain HTTP',
  });
});
