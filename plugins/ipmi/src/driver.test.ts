import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { SideroError } from '@sidero/core';
import { describe, expect, test } from 'vitest';
import { able, aDriver, aServerAt, LOGIN, never, QUICK } from './ipmi.fixture.ts';
import { AUTH_TYPE, CHASSIS_CONTROL, encodeRmcp, RAKP_STATUS } from './protocol.ts';
import { type Script, scriptedBmc, type SeenRequest } from './scripted-bmc.fixture.ts';

/** Where something gets lost: enough for a busy host, and not long to wait for. */
const PATIENT = { timeoutMs: 400, retries: 2 };

/** An open session at a scripted BMC. */
async function connected(script: Partial<Script> = {}, options: Parameters<typeof aDriver>[0] = {}, kind = '') {
  const bmc = await scriptedBmc(script);
  const { driver, dropped, lines } = aDriver(options);
  const opening = driver.open(aServerAt({ port: bmc.port, interface: kind }), { login: LOGIN, signal: never });
  const session = await opening.catch(async (thrown: unknown) => {
    await bmc[Symbol.asyncDispose]();
    throw thrown;
  });
  bmc.requests.length = 0;
  return {
    bmc,
    driver,
    dropped,
    lines,
    session,
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
      await bmc[Symbol.asyncDispose]();
    },
  };
}

/** What the login ends in. */
async function refusal(script: Partial<Script>, given: { kind?: string; login?: typeof LOGIN } = {}): Promise<SideroError> {
  await using bmc = await scriptedBmc(script);
  const { kind = '', login = LOGIN } = given;
  const thrown: unknown = await aDriver(QUICK)
    .driver.open(aServerAt({ port: bmc.port, interface: kind }), { login, signal: never })
    .catch((error: unknown) => error);
  if (!(thrown instanceof SideroError)) throw new Error(`not refused: ${String(thrown)}`);
  return thrown;
}

const sockets = () => process.getActiveResourcesInfo().filter((resource) => resource.startsWith('UDP')).length;
const named = (requests: readonly SeenRequest[], name: string) => requests.filter((request) => request.name === name);
const controls = (requests: readonly SeenRequest[]) => named(requests, 'chassisControl').map(({ data }) => data[0]);

describe('which servers', () => {
  const { driver } = aDriver();

  test.each([
    [undefined, true],
    ['', true],
    ['lanplus', true],
    ['lan', true],
    ['open', false],
    ['redfish', false],
  ])('interface %s is claimed: %s', (kind, isClaimed) => {
    expect(driver.claims(aServerAt({ port: 623, ...(kind === undefined ? {} : { interface: kind }) }))).toBe(isClaimed);
  });

  test('a server without an endpoint of a BMC is not claimed', () => {
    expect(driver.claims(aServerAt({ port: 623, endpoint: '' }))).toBe(false);
    expect(driver.claims({ ...aServerAt({ port: 623 }), spec: { accepted: true } })).toBe(false);
  });

  test('the device is host and port, with brackets around IPv6, and 623 by default', () => {
    expect(driver.deviceOf?.(aServerAt({ port: 0, endpoint: '10.0.0.7' }))).toBe('10.0.0.7:623');
    expect(driver.deviceOf?.(aServerAt({ port: 6230, endpoint: 'fd00::7' }))).toBe('[fd00::7]:6230');
    expect(driver.deviceOf?.(aServerAt({ port: 6230, endpoint: '[fd00::7]' }))).toBe('[fd00::7]:6230');
  });

  test('the in-band interface is refused', async () => {
    expect(await refusal({}, { kind: 'open' })).toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED', message: expect.stringContaining('"open"') });
  });
});

describe('opening an RMCP+ session', () => {
  test('suite 17 comes first', async () => {
    await using given = await connected();
    expect(given.bmc.openings).toEqual(['capabilities', 'suite 17', 'RAKP 1 role 20', 'RAKP 3 status 0']);
  });

  test.each([
    ['refuses', { suites: [3] }],
    ['is silent to', { silentSuites: [17] }],
  ] satisfies [string, Partial<Script>][])('a BMC that %s suite 17 is asked for suite 3, and for that first the next time', async (_what, script) => {
    await using given = await connected(script, QUICK);
    expect(given.bmc.openings).toContain('suite 3');
    given.bmc.openings.length = 0;
    await using _again = await given.driver.open(aServerAt({ port: given.bmc.port }), { login: LOGIN, signal: never });
    expect(given.bmc.openings.find((opened) => opened.startsWith('suite'))).toBe('suite 3');
  });

  test('a suite that the site leaves out is not spoken', async () => {
    await using bmc = await scriptedBmc({ suites: [3] });
    const { driver } = aDriver({ cipherSuites: [17] });
    await expect(driver.open(aServerAt({ port: bmc.port }), { login: LOGIN, signal: never })).rejects.toMatchObject({
      code: 'SIDERO_BMC_UNSUPPORTED',
      message: expect.stringContaining('suite 17: it has no cipher suite'),
    });
    expect(bmc.openings).not.toContain('suite 3');
  });

  test('over IPv6', async () => {
    await using bmc = await scriptedBmc({ isOn: true }, '::1');
    await using session = await aDriver().driver.open(aServerAt({ port: bmc.port, endpoint: '::1' }), { login: LOGIN, signal: never });
    expect(await able(session, 'isOn')(never)).toBe(true);
  });

  test('a wrong password is told as such, without the password, and the BMC need not keep the session half open', async () => {
    await using bmc = await scriptedBmc();
    const opening = aDriver().driver.open(aServerAt({ port: bmc.port }), { login: { user: 'admin', pass: 'not-it' }, signal: never });
    const error = await opening.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SIDERO_BMC_AUTH' });
    expect(JSON.stringify(error) + String(error)).not.toContain('not-it');
    await expect.poll(() => bmc.openings.filter((opened) => opened === 'RAKP 3 status 15').length).toBe(2);
  });

  test('one spoiled answer does not look like a wrong password', async () => {
    let spoiled = 0;
    const deliver: Script['deliver'] = (datagram, kind) =>
      kind === 'rakp2' && spoiled++ === 0 ? [datagram.map((byte, at) => (at === datagram.length - 1 ? byte ^ 1 : byte))] : [datagram];
    await using given = await connected({ deliver });
    expect(given.bmc.openings.filter((opened) => opened === 'suite 17')).toHaveLength(2);
  });

  test.each([
    [RAKP_STATUS.outOfResources, 'SIDERO_BMC_BUSY'],
    [RAKP_STATUS.outOfResourcesForRole, 'SIDERO_BMC_BUSY'],
    [RAKP_STATUS.unauthorizedRole, 'SIDERO_BMC_AUTH'],
    [RAKP_STATUS.invalidNameLength, 'SIDERO_BMC_AUTH'],
    [RAKP_STATUS.unauthorizedName, 'SIDERO_BMC_AUTH'],
    [RAKP_STATUS.unauthorizedGuid, 'SIDERO_BMC_AUTH'],
    [RAKP_STATUS.invalidCode, 'SIDERO_BMC_AUTH'],
    [RAKP_STATUS.noSuite, 'SIDERO_BMC_UNSUPPORTED'],
    [RAKP_STATUS.illegalParameter, 'SIDERO_BMC_UNSUPPORTED'],
    [RAKP_STATUS.invalidSessionId, 'SIDERO_BMC_FAULT'],
    [0xe0, 'SIDERO_BMC_FAULT'],
  ])('a login refused with %i is %s', async (rakp2Status, code) => {
    expect(await refusal({ rakp2Status })).toMatchObject({ code });
  });

  test('an unknown user is told as such', async () => {
    expect(await refusal({}, { login: { user: 'nobody', pass: 'x' } })).toMatchObject({
      code: 'SIDERO_BMC_AUTH',
      message: expect.stringContaining('does not know the user'),
    });
  });

  test('a BMC of IPMI 1.5 is told apart', async () => {
    expect(await refusal({ speaksIpmi2: false })).toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED', message: expect.stringContaining('"lan"') });
  });

  test.each([
    ['user name', 'lanplus', { user: 'u'.repeat(17), pass: 'secret' }],
    ['password', 'lanplus', { user: 'admin', pass: 'p'.repeat(21) }],
    ['password', 'lan', { user: 'admin', pass: 'p'.repeat(17) }],
  ])('a %s too long for %s is refused before anything is sent', async (what, kind, login) => {
    await using bmc = await scriptedBmc();
    const { driver } = aDriver();
    const error: unknown = await driver
      .open(aServerAt({ port: bmc.port, interface: kind }), { login, signal: never })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SIDERO_BMC_AUTH', message: expect.stringContaining(what) });
    expect(String(error)).not.toContain(login.pass);
    expect(bmc.openings).toEqual([]);
  });

  test('a user who may not have the privilege is told as such', async () => {
    const error = await refusal({ answer: ({ name }) => (name === 'setSessionPrivilege' ? 0x81 : undefined) });
    expect(error).toMatchObject({ code: 'SIDERO_BMC_AUTH', message: expect.stringContaining('administrator') });
  });

  test('the privilege of the sessions is an option', async () => {
    const seen: SeenRequest[] = [];
    await using given = await connected({ answer: (request) => void seen.push(request) }, { privilege: 'operator' });
    expect(named(seen, 'setSessionPrivilege')[0]?.data).toEqual([3]);
    expect(given.bmc.openings).toContain('RAKP 1 role 19');
  });
});

describe('a BMC that is silent', () => {
  test('is given up after the repetitions, and told with what the network said', async () => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    let received = 0;
    socket.on('message', () => received++);
    const opening = aDriver({ timeoutMs: 20, retries: 2 }).driver.open(aServerAt({ port: socket.address().port }), { login: LOGIN, signal: never });
    await expect(opening).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE', message: expect.stringContaining('after 3 packets') });
    await expect.poll(() => received).toBe(3);
    const { port } = socket.address();
    await new Promise<void>((resolve) => socket.close(() => resolve()));
    await expect(aDriver(QUICK).driver.open(aServerAt({ port }), { login: LOGIN, signal: never })).rejects.toMatchObject({
      code: 'SIDERO_BMC_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('a name that does not exist is unreachable', async () => {
    // With an empty label, for which no resolver is asked: this host's may be slow, or away.
    const opening = aDriver().driver.open(aServerAt({ port: 623, endpoint: 'bmc..invalid' }), { login: LOGIN, signal: never });
    await expect(opening).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
  });

  test('is not waited for once the caller has had enough', async () => {
    await using bmc = await scriptedBmc({ silentSuites: [17, 3] });
    const stop = new AbortController();
    const opening = aDriver({ timeoutMs: 60_000 }).driver.open(aServerAt({ port: bmc.port }), { login: LOGIN, signal: stop.signal });
    await expect.poll(() => bmc.openings).toContain('suite 17');
    const reason = new Error('enough');
    stop.abort(reason);
    await expect(opening).rejects.toBe(reason);
    await expect(aDriver().driver.open(aServerAt({ port: bmc.port }), { login: LOGIN, signal: stop.signal })).rejects.toBe(reason);
  });

  test('once it knew us, is unreachable at the next command', async () => {
    await using given = await connected({}, QUICK);
    given.bmc.script.answer = () => 'silent';
    given.bmc.script.deliver = () => [];
    await expect(able(given.session, 'isOn')(never)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
  });
});

describe('packets that go wrong', () => {
  test('a lost answer is asked for again, with the same request number in another packet', async () => {
    let lost = 0;
    await using given = await connected({}, QUICK);
    given.bmc.script.deliver = (datagram, kind) => (kind === 'session' && lost++ === 0 ? [] : [datagram]);
    given.bmc.script.isOn = true;
    expect(await able(given.session, 'isOn')(never)).toBe(true);
    const [first, second] = named(given.bmc.requests, 'getChassisStatus');
    expect(second).toMatchObject({ sequence: first?.sequence, packetSequence: first!.packetSequence + 1 });
  });

  const cut = (datagram: Uint8Array) => datagram.slice(0, datagram.length - 9);
  const flip = (at: number) => (datagram: Uint8Array) => datagram.map((byte, index) => (index === at ? byte ^ 0x5a : byte));
  test.each([
    ['cut', cut, 'unproven'],
    ['cut within its header', (datagram: Uint8Array) => datagram.slice(0, 9), 'malformed'],
    ['with a changed payload', flip(40), 'unproven'],
    ['of another session', flip(6), 'other-session'],
    ['that is no IPMI', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'malformed'],
    ['that is a stray pong', () => encodeRmcp({ class: 'pong', tag: 0, speaksIpmi: true }), 'unexpected'],
  ] as const)('an answer %s is dropped and counted, and the good one behind it is taken', async (_what, spoil, reason) => {
    await using given = await connected({ isOn: true });
    given.bmc.script.deliver = (datagram) => [spoil(datagram), datagram];
    expect(await able(given.session, 'isOn')(never)).toBe(true);
    expect(given.dropped).toEqual([reason]);
  });

  test('an answer that was seen before is dropped, also as the answer to something else', async () => {
    await using given = await connected({ isOn: true });
    let old: Uint8Array | undefined;
    given.bmc.script.deliver = (datagram) => {
      const before = old;
      old = datagram;
      return before ? [before, datagram] : [datagram];
    };
    expect(await able(given.session, 'isOn')(never)).toBe(true);
    given.bmc.script.isOn = false;
    expect(await able(given.session, 'isOn')(never)).toBe(false);
    expect(given.dropped).toEqual(['replayed']);
  });

  test('an answer after its time is dropped and is not taken for that to the next question', async () => {
    await using given = await connected({ isOn: true }, PATIENT);
    let late: Uint8Array | undefined;
    given.bmc.script.deliver = (datagram, kind) => {
      if (kind !== 'session' || late) return [datagram];
      late = datagram;
      return [];
    };
    expect(await able(given.session, 'isOn')(never)).toBe(true);
    given.bmc.send(late!);
    await expect.poll(() => given.dropped).toEqual(['unexpected']);
    given.bmc.script.isOn = false;
    given.bmc.script.deliver = (datagram) => [late!, datagram];
    expect(await able(given.session, 'isOn')(never)).toBe(false);
  });

  test('a session that the BMC has forgotten is opened anew, once, and the command carried out', async () => {
    await using given = await connected({ isOn: true }, PATIENT);
    given.bmc.sessions.clear();
    given.bmc.openings.length = 0;
    expect(await able(given.session, 'isOn')(never)).toBe(true);
    expect(given.bmc.openings.filter((opened) => opened.startsWith('suite'))).toEqual(['suite 17']);
    expect(named(given.bmc.requests, 'getChassisStatus')).toHaveLength(1);
  });
});

describe('power', () => {
  test('status, on, off, cycle and soft are the commands of the specification', async () => {
    await using given = await connected({ isOn: true });
    const { session, bmc } = given;
    expect(await able(session, 'isOn')(never)).toBe(true);
    await session.on(never);
    await able(session, 'off')(never);
    await able(session, 'cycle')(never);
    await able(session, 'soft')(never);
    expect(controls(bmc.requests)).toEqual([CHASSIS_CONTROL.on, CHASSIS_CONTROL.off, CHASSIS_CONTROL.cycle, CHASSIS_CONTROL.softOff]);
  });

  test.each(['cycle', 'soft'] as const)('a %s is never sent twice: without an answer the state is read, and the call fails', async (verb) => {
    await using given = await connected({ isOn: true }, QUICK);
    given.bmc.script.answer = ({ name }) => (name === 'chassisControl' ? 'silent' : undefined);
    await expect(able(given.session, verb)(never)).rejects.toMatchObject({
      code: 'SIDERO_BMC_FAULT',
      message: expect.stringContaining('not repeated; the machine is on now'),
    });
    expect(controls(given.bmc.requests)).toHaveLength(1);
  });

  test('a cycle to a BMC that goes silent over it is sent once, and the BMC unreachable', async () => {
    await using given = await connected({ isOn: true }, QUICK);
    given.bmc.script.answer = ({ name }) => {
      if (name !== 'chassisControl') return undefined;
      given.bmc.script.deliver = () => [];
      return 'silent';
    };
    await expect(able(given.session, 'cycle')(never)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
    expect(controls(given.bmc.requests)).toHaveLength(1);
  });

  test('a cycle goes to a session that is there: one that was forgotten is found before', async () => {
    await using given = await connected({ isOn: true }, PATIENT);
    given.bmc.sessions.clear();
    await able(given.session, 'cycle')(never);
    expect(controls(given.bmc.requests)).toEqual([CHASSIS_CONTROL.cycle]);
  });

  test.each([
    [0xd5, 'SIDERO_BMC_UNSUPPORTED'],
    [0xc1, 'SIDERO_BMC_UNSUPPORTED'],
    [0xcc, 'SIDERO_BMC_UNSUPPORTED'],
    [0xd4, 'SIDERO_BMC_AUTH'],
    [0xd2, 'SIDERO_BMC_BUSY'],
    [0xce, 'SIDERO_BMC_FAULT'],
    [0xff, 'SIDERO_BMC_FAULT'],
  ])('a command refused with %i is %s', async (completion, code) => {
    await using given = await connected({ answer: ({ name }) => (name === 'chassisControl' ? completion : undefined) });
    await expect(given.session.on(never)).rejects.toMatchObject({ code, message: expect.stringContaining('power on') });
    await expect(able(given.session, 'cycle')(never)).rejects.toMatchObject({ code });
  });

  test('a BMC that is busy is asked again, also for a cycle', async () => {
    let busy = 1;
    await using given = await connected({ answer: ({ name }) => (name === 'chassisControl' && busy-- > 0 ? 0xc0 : undefined) });
    await able(given.session, 'cycle')(never);
    expect(controls(given.bmc.requests)).toEqual([CHASSIS_CONTROL.cycle, CHASSIS_CONTROL.cycle]);
  });

  test('a BMC that stays busy is told as such', async () => {
    await using given = await connected({ answer: ({ name }) => (name === 'chassisControl' ? 0xc0 : undefined) });
    await expect(given.session.on(never)).rejects.toMatchObject({ code: 'SIDERO_BMC_BUSY' });
    expect(controls(given.bmc.requests)).toHaveLength(4);
  });

  test('an answer without its data is a fault', async () => {
    await using given = await connected({ answer: ({ name }) => (name === 'getChassisStatus' ? [] : undefined) });
    await expect(able(given.session, 'isOn')(never)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
  });
});

describe('booting from the network once', () => {
  const boot = (requests: readonly SeenRequest[]) => named(requests, 'setBootOption').map(({ data }) => data);
  const kept =
    (flags: readonly number[]): Script['answer'] =>
    (request) =>
      request.name === 'getBootOption' ? [1, 5, ...flags] : undefined;

  test.each([
    ['uefi', 0xa0],
    ['bios', 0x80],
  ] as const)('in %s mode is the sequence of the original, with the flags kept beyond 60 s', async (mode, flags) => {
    await using given = await connected({ answer: kept([flags, 0x04, 0, 0, 0]) });
    await able(given.session, 'networkBootOnce')(mode, never);
    expect(boot(given.bmc.requests)).toEqual([
      [0, 1],
      [4, 1, 1],
      [3, 8],
      [5, flags, 0x04, 0, 0, 0],
      [0, 2],
      [0, 0],
    ]);
    expect(given.lines).toEqual([]);
  });

  test('a BMC that does not know of progress is not told of it', async () => {
    const answer: Script['answer'] = (request) =>
      request.name === 'setBootOption' && request.data[0] === 0 ? 0x80 : kept([0xa0, 4, 0, 0, 0])(request);
    await using given = await connected({ answer });
    await able(given.session, 'networkBootOnce')('uefi', never);
    expect(boot(given.bmc.requests)).toEqual([
      [0, 1],
      [4, 1, 1],
      [3, 8],
      [5, 0xa0, 0x04, 0, 0, 0],
    ]);
  });

  test.each([
    [
      4,
      [
        [0, 1],
        [4, 1, 1],
        [0, 0],
      ],
    ],
    [
      5,
      [
        [0, 1],
        [4, 1, 1],
        [3, 8],
        [5, 0xa0, 4, 0, 0, 0],
        [0, 0],
      ],
    ],
  ])('when parameter %i is refused, progress is ended and the call fails', async (parameter, sequence) => {
    await using given = await connected({ answer: ({ name, data }) => (name === 'setBootOption' && data[0] === parameter ? 0xff : undefined) });
    await expect(able(given.session, 'networkBootOnce')('uefi', never)).rejects.toMatchObject({ code: 'SIDERO_BMC_FAULT' });
    expect(boot(given.bmc.requests)).toEqual(sequence);
  });

  test.each([
    ['forgets', [0, 0, 0, 0, 0]],
    ['replaces', [0xa0, 0x08, 0, 0, 0]],
  ])('a BMC that %s the device is found out', async (_what, flags) => {
    await using given = await connected({ answer: kept(flags) });
    await expect(able(given.session, 'networkBootOnce')('uefi', never)).rejects.toMatchObject({
      code: 'SIDERO_BMC_FAULT',
      message: expect.stringContaining('keeps boot device'),
    });
  });

  test.each([
    ['loses the other flags', kept([0, 0x04, 0, 0, 0]), 'but not that it is valid, its firmware mode'],
    ['does not let read them', ((request) => (request.name === 'getBootOption' ? 0x80 : undefined)) as Script['answer'], 'cannot be read back'],
    [
      'says that they mean nothing',
      ((request) => (request.name === 'getBootOption' ? [1, 0x85, 0, 0, 0, 0, 0] : undefined)) as Script['answer'],
      'read back',
    ],
    [
      'lets the order lapse',
      ((request) => (request.data[0] === 3 ? 0x80 : kept([0xa0, 4, 0, 0, 0])(request))) as Script['answer'],
      'lapse after 60 s',
    ],
  ])('a BMC that %s gets its order, and the log says what is not known', async (_what, answer, doubt) => {
    await using given = await connected({ answer });
    await able(given.session, 'networkBootOnce')('uefi', never);
    expect(given.lines.join('')).toContain(doubt);
  });
});

describe('changing the password', () => {
  const names = ['', 'admin'];
  const users: Script['answer'] = ({ name, data }) => {
    if (name === 'getUserAccess') return [10, 2, 0, 0x14];
    const user = name === 'getUserName' ? names[data[0]! - 1] : undefined;
    return name === 'getUserName' ? [...Buffer.alloc(16).fill(user ?? '', 0, user?.length ?? 0)] : undefined;
  };

  test.each([
    [16, 'sixteen-or-less', 2],
    [20, 'seventeen-or-more', 0x82],
  ])('is done for the user of the session, in %i bytes, and tested', async (bytes, password, userId) => {
    await using given = await connected({ answer: users });
    await able(given.session, 'changePassword')(password, never);
    const [set, tested] = named(given.bmc.requests, 'setUserPassword').map(({ data }) => data);
    const padded = [...Buffer.alloc(bytes).fill(password, 0, password.length)];
    expect([set, tested]).toEqual([
      [userId, 2, ...padded],
      [userId, 3, ...padded],
    ]);
  });

  test.each([
    ['a BMC that does not keep it', ((request) => (request.data[1] === 3 ? 0x80 : users(request))) as Script['answer'], 'SIDERO_BMC_FAULT'],
    [
      'a user that the BMC does not list',
      ((request) => (request.name === 'getUserName' ? 0xcc : users(request))) as Script['answer'],
      'SIDERO_BMC_FAULT',
    ],
    ['a user who may not', ((request) => (request.name === 'setUserPassword' ? 0xd4 : users(request))) as Script['answer'], 'SIDERO_BMC_AUTH'],
  ])('fails for %s, without telling the password', async (_what, answer, code) => {
    await using given = await connected({ answer });
    const error: unknown = await able(given.session, 'changePassword')('brand-new', never).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect(String(error)).not.toContain('brand-new');
  });

  test('is not done over IPMI 1.5, where all could read it', async () => {
    await using given = await connected({}, {}, 'lan');
    expect(given.session.changePassword).toBeUndefined();
  });
});

describe('probing', () => {
  test('tells what the BMC says of itself, and what it said to each cipher suite', async () => {
    const answers: Record<string, readonly number[]> = {
      getDeviceId: [0x20, 1, 2, 0x17, 2, 0, 0x91, 0x12, 0, 0x02, 0x0f],
      getBootOption: [1, 5, 0xa0, 4, 0, 0, 0],
      getLanParameter: [0x11, 10, 0, 0, 7],
    };
    const answer: Script['answer'] = ({ name, data }) => (name === 'getChannelInfo' ? (data[0] === 8 ? [8, 4, 1] : 0xcc) : answers[name]);
    await using given = await connected({ suites: [3], answer });
    expect(await able(given.session, 'probe')(never)).toEqual({
      Firmware: '2.17',
      'IPMI version': '2.0',
      Manufacturer: '4753, product 3842',
      Session: 'suite 17: it has no cipher suite of the algorithms that were proposed (0x11); suite 3: accepted',
      'Boot flags': 'device 1; valid, once, uefi',
      'LAN channel': '8',
      'LAN address': '10.0.0.7',
    });
  });
});

describe('IPMI 1.5', () => {
  test.each([
    ['MD5', 0b010110, AUTH_TYPE.md5],
    ['straight password', 0b010010, AUTH_TYPE.password],
    ['none', 0b000011, AUTH_TYPE.none],
  ])('%s is the best of what is offered, and all verbs work', async (_name, authTypes, authType) => {
    await using given = await connected({ authTypes, isOn: true }, {}, 'lan');
    expect(given.bmc.openings).toContain(`authentication ${authType}`);
    expect(await able(given.session, 'isOn')(never)).toBe(true);
    await able(given.session, 'cycle')(never);
    expect(controls(given.bmc.requests)).toEqual([CHASSIS_CONTROL.cycle]);
  });

  test.each([
    ['MD2 only', { authTypes: 0b10 }, 'SIDERO_BMC_UNSUPPORTED'],
    ['no session left', { activation: 0x81 }, 'SIDERO_BMC_BUSY'],
    ['a privilege too high', { activation: 0x86 }, 'SIDERO_BMC_AUTH'],
    ['a broken activation', { activation: 0xff }, 'SIDERO_BMC_FAULT'],
  ])('%s is told as %s', async (_what, script, code) => {
    expect(await refusal(script, { kind: 'lan' })).toMatchObject({ code });
  });

  test('an unknown user and a wrong password are told as such', async () => {
    expect(await refusal({}, { kind: 'lan', login: { user: 'nobody', pass: 'x' } })).toMatchObject({ code: 'SIDERO_BMC_AUTH' });
    const error = await refusal({}, { kind: 'lan', login: { user: 'admin', pass: 'not-it' } });
    expect(error).toMatchObject({ code: 'SIDERO_BMC_AUTH', message: expect.stringContaining('password is wrong') });
  });

  test('a login whose answer got lost is tried with a challenge of its own', async () => {
    await using bmc = await scriptedBmc();
    const isLogin = () => bmc.openings.at(-1)?.startsWith('authentication') === true && bmc.sessions.size === 1;
    let lost = 0;
    bmc.script.deliver = (datagram) => (isLogin() && lost++ === 0 ? [] : [datagram]);
    const { driver } = aDriver(PATIENT);
    await using session = await driver.open(aServerAt({ port: bmc.port, interface: 'lan' }), { login: LOGIN, signal: never });
    expect(await able(session, 'isOn')(never)).toBe(false);
    expect(bmc.openings.filter((opened) => opened.startsWith('authentication'))).toHaveLength(2);
    expect(bmc.openings.filter((opened) => opened === 'challenge')).toHaveLength(2);
  });

  test('answers seen before, of another session or with a wrong code are dropped', async () => {
    await using given = await connected({ isOn: true }, {}, 'lan');
    let old: Uint8Array | undefined;
    const changed = (datagram: Uint8Array, at: number) => datagram.map((byte, index) => (index === at ? byte ^ 1 : byte));
    given.bmc.script.deliver = (datagram) => {
      const before = old ?? changed(datagram, 9);
      old = datagram;
      return [before, changed(datagram, 20), datagram];
    };
    expect(await able(given.session, 'isOn')(never)).toBe(true);
    expect(await able(given.session, 'isOn')(never)).toBe(true);
    expect(given.dropped).toEqual(['other-session', 'unproven', 'replayed', 'unproven']);
  });
});

describe('the end of a session', () => {
  test.each(['lanplus', 'lan'])('is told to the BMC, and no socket stays open: %s', async (kind) => {
    await using bmc = await scriptedBmc();
    const session = await aDriver().driver.open(aServerAt({ port: bmc.port, interface: kind }), { login: LOGIN, signal: never });
    await session[Symbol.asyncDispose]();
    expect(named(bmc.requests, 'closeSession')).toHaveLength(1);
    expect(bmc.sessions.size).toBe(0);
    await expect.poll(sockets).toBe(1); // the BMC's
    await session[Symbol.asyncDispose]();
  });

  test('comes soon, also when the BMC is gone', async () => {
    await using given = await connected();
    given.bmc.script.deliver = () => [];
    await given.session[Symbol.asyncDispose]();
    expect(named(given.bmc.requests, 'closeSession')).toHaveLength(1);
  });

  test('leaves nothing behind when the login failed', async () => {
    await refusal({ users: {} });
    await expect.poll(sockets).toBe(0);
  });
});
