import { describe, expect, test } from 'vitest';
import { LOGIN, never } from '../ipmi.fixture.ts';
import { COMMAND, PASSWORD_BYTES } from '../protocol.ts';
import { type Script, scriptedBmc, type ScriptedBmc } from '../scripted-bmc.fixture.ts';
import { BmcConnection, type ConnectionTerms } from './connection.ts';
import { waitsOf } from './exchange.ts';
import { Users } from './users.ts';

const termsOf = (bmc: ScriptedBmc, given: Partial<ConnectionTerms> = {}): ConnectionTerms => ({
  subject: { server: 's', device: `127.0.0.1:${bmc.port}` },
  endpoint: { host: '127.0.0.1', port: bmc.port },
  interface: 'lanplus',
  user: LOGIN.user,
  password: LOGIN.pass,
  privilege: 'administrator',
  suites: [17],
  // Where nothing gets lost nothing is to be sent again, however long this host is busy.
  waitsMs: waitsOf({ timeoutMs: 10_000, retries: 3 }),
  dropped: () => undefined,
  ...given,
});

const status = { command: COMMAND.getChassisStatus, what: 'power status', signal: never };

describe('a connection', () => {
  test('waits for half as long again with each repetition: 8.1 s in all, as it comes', () => {
    expect(waitsOf({ timeoutMs: 1000, retries: 3 })).toEqual([1000, 1500, 2250, 3375]);
  });

  test('takes a session for forgotten after a while, closes it, and opens another before it asks', async () => {
    await using bmc = await scriptedBmc();
    await using connection = await BmcConnection.open(termsOf(bmc, { idleLimitMs: -1 }), never);
    const [first] = bmc.sessions.keys();
    await connection.request(status);
    expect([...bmc.sessions.keys()]).not.toContain(first);
    expect(bmc.requests.map(({ name }) => name)).toEqual(['setSessionPrivilege', 'closeSession', 'setSessionPrivilege', 'getChassisStatus']);
  });

  test('keeps its session while it is used', async () => {
    await using bmc = await scriptedBmc();
    await using connection = await BmcConnection.open(termsOf(bmc), never);
    for (let i = 0; i < 70; i++) await connection.request(status);
    expect(bmc.openings.filter((opened) => opened.startsWith('suite'))).toEqual(['suite 17']);
    expect(bmc.requests).toHaveLength(71);
  });

  test('asks anew when the BMC only says that it was asked before', async () => {
    let refused = 0;
    await using bmc = await scriptedBmc({ isOn: true, answer: ({ name }) => (name === 'getChassisStatus' && refused++ === 0 ? 0xcf : undefined) });
    await using connection = await BmcConnection.open(termsOf(bmc), never);
    expect((await connection.request(status)).completionCode).toBe(0);
    const [first, second] = bmc.requests.filter(({ name }) => name === 'getChassisStatus');
    expect(second?.sequence).not.toBe(first?.sequence);
  });

  test('what is done at most once is sent once, whatever the BMC does', async () => {
    await using bmc = await scriptedBmc();
    await using connection = await BmcConnection.open(termsOf(bmc, { waitsMs: [20, 20, 20] }), never);
    bmc.script.answer = ({ name }) => (name === 'chassisControl' ? 'silent' : undefined);
    const call = { command: COMMAND.chassisControl, what: 'power cycle', data: Uint8Array.of(2), signal: never };
    expect(await connection.requestOnce(call)).toBeUndefined();
    expect(bmc.requests.filter(({ name }) => name === 'chassisControl')).toHaveLength(1);
  });

  test('comes back after a time in which the BMC was gone', async () => {
    await using bmc = await scriptedBmc();
    await using connection = await BmcConnection.open(termsOf(bmc, { waitsMs: [20, 20, 20] }), never);
    const { deliver } = bmc.script;
    bmc.script.deliver = () => [];
    await expect(connection.request(status)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNREACHABLE' });
    bmc.script.deliver = deliver;
    bmc.sessions.clear();
    await expect.poll(async () => (await connection.request(status)).completionCode).toBe(0);
  });

  test('a repetition of RAKP 1 that crosses with its answer does not look like a wrong password', async () => {
    await using bmc = await scriptedBmc();
    // The BMC makes another random number for the repetition, and the client goes on with the first.
    let held: Uint8Array | undefined;
    bmc.script.deliver = (datagram, kind) => {
      if (kind !== 'rakp2' || bmc.openings.filter((opened) => opened.startsWith('RAKP 1')).length > 2) return [datagram];
      const first = held;
      held = datagram;
      return first ? [first] : [];
    };
    await using connection = await BmcConnection.open(termsOf(bmc, { waitsMs: [100, 200, 400] }), never);
    expect(connection.session?.suite?.id).toBe(17);
  });
});

describe('users', () => {
  const users: Script['answer'] = ({ name }) => (name === 'getUserAccess' ? [0x4a, 0x42, 0x01, 0x34] : undefined);

  test('are read and written with the bytes of the specification', async () => {
    await using bmc = await scriptedBmc({ answer: users });
    await using connection = await BmcConnection.open(termsOf(bmc), never);
    bmc.requests.length = 0;
    const room = new Users(connection, { server: 's', device: 'd' });
    expect(await room.access({ channel: 1, userId: 3 }, never)).toEqual({
      maxUsers: 10,
      enabledUsers: 2,
      fixedNames: 1,
      isMessagingOn: true,
      privilege: 4,
    });
    await room.setName({ userId: 3, name: 'sidero' }, never);
    await room.setAccess({ channel: 1, userId: 3, isMessagingOn: true, privilege: 4 }, never);
    await room.enable(3, never);
    expect(bmc.requests.map(({ name, data }) => [name, data])).toEqual([
      ['getUserAccess', [1, 3]],
      ['setUserName', [3, ...Buffer.alloc(16).fill('sidero', 0, 6)]],
      ['setUserAccess', [0x91, 3, 4, 0]],
      ['setUserPassword', [3, 1]],
    ]);
  });

  test('are found also on a BMC that wants to be told the channel', async () => {
    const answer: Script['answer'] = ({ name, data }) => {
      if (name === 'getChannelInfo') return data[0] === 3 ? [3, 4, 1] : 0xcc;
      if (name === 'getUserAccess') return data[0] === 3 ? [3, 1, 0, 0x34] : 0xcc;
      return name === 'getUserName' && data[0] === 3 ? [...Buffer.alloc(16).fill('sidero', 0, 6)] : 0xcc;
    };
    await using bmc = await scriptedBmc();
    await using connection = await BmcConnection.open(termsOf(bmc), never);
    bmc.script.answer = answer;
    const room = new Users(connection, { server: 's', device: 'd' });
    expect(await room.find('sidero', never)).toBe(3);
    expect(await room.find('nobody', never)).toBeUndefined();
  });

  test('a password is tested in the length it was set with', async () => {
    await using bmc = await scriptedBmc();
    await using connection = await BmcConnection.open(termsOf(bmc), never);
    const room = new Users(connection, { server: 's', device: 'd' });
    const long = 'x'.repeat(PASSWORD_BYTES['2.0']);
    expect(await room.hasPassword({ userId: 2, password: long }, never)).toBe(true);
    expect(bmc.requests.at(-1)?.data).toEqual([0x82, 3, ...Buffer.from(long)]);
    bmc.script.answer = () => 0x81;
    expect(await room.hasPassword({ userId: 2, password: 'x' }, never)).toBe(false);
    bmc.script.answer = () => 0xcc;
    expect(await room.hasPassword({ userId: 2, password: 'x' }, never)).toBeUndefined();
  });
});
