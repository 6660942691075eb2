import { expect, test } from 'vitest';
import { aBmc, aMachineWith, type BmcFixture } from './bmc.fixture.ts';
import { bmcSetup, type BmcSetupOptions, newPassword } from './bmc-setup.ts';
import { aMachine } from './machine.fixture.ts';
import { StageFailure } from './machine.ts';

const uuid = '33221100-5544-7766-8899-aabbccddeeff';
type Told = { ip?: string; port?: number; user?: string; pass?: string };

/** A set-up whose calls of the management plane fail while `refusing` says why; a call is repeated once. */
function aSetup(bmc: BmcFixture | undefined, more: Partial<BmcSetupOptions> = {}) {
  const machine = bmc ? aMachineWith(bmc) : aMachine();
  const state = { told: [] as Told[], reported: [] as string[], refusing: (_told: Told): string | undefined => undefined };
  const setUp = bmcSetup({
    machine,
    uuid,
    target: 'plane:8081',
    signal: new AbortController().signal,
    client: {
      updateBMCInfo: async ({ bmcInfo }) => {
        const told = { ...bmcInfo } as Told;
        const why = state.refusing(told);
        if (why) throw new Error(why);
        state.told.push(told);
        return { $typeName: 'api.UpdateBMCInfoResponse' };
      },
    },
    retried: (call) =>
      call()
        .catch(call)
        .catch((thrown: Error) => Promise.reject(new StageFailure('bmc', thrown.message))),
    report: async ({ stage, message }) => void state.reported.push(`${stage}: ${message}`),
    ...more,
  });
  const again = async (user = '') => {
    await machine.pause(60 * 60_000, new AbortController().signal);
    await setUp(user);
  };
  return { machine, state, setUp, again };
}

const passOf = (bmc: BmcFixture, name = 'sidero') => [...bmc.users.values()].find((user) => user.name === name)?.pass;

test('the address is told before anything is changed, then the login that the BMC has', async () => {
  const bmc = aBmc();
  const { state, setUp, machine } = aSetup(bmc);
  let usersAtFirst: string | undefined;
  state.refusing = () => ((usersAtFirst ??= String(passOf(bmc))), undefined);
  await setUp('');
  expect(usersAtFirst).toBe('undefined');
  const address = { ip: '10.0.9.1', port: 623 };
  expect(state.told).toEqual([address, { ...address, user: 'sidero', pass: passOf(bmc) }]);
  expect(state.reported).toEqual([]);
  expect(machine.said).toEqual(['the BMC at 10.0.9.1 has the user sidero now']);
});

test('the user has the name that was asked for', async () => {
  const bmc = aBmc();
  const { state, setUp } = aSetup(bmc);
  await setUp('ops');
  expect(state.told[1]).toMatchObject({ user: 'ops', pass: passOf(bmc, 'ops') });
});

test('nothing is changed on the BMC while the management plane does not take the address', async () => {
  const bmc = aBmc();
  const { state, setUp, again } = aSetup(bmc);
  state.refusing = () => 'down';
  await setUp('');
  await again();
  expect(passOf(bmc)).toBeUndefined();
  expect(state.reported).toEqual(['bmc: down']);
  state.refusing = () => undefined;
  await again();
  expect(state.told[1]).toMatchObject({ pass: passOf(bmc) });
});

test('a login that could not be told is told at the next registration, and is still the same', async () => {
  const bmc = aBmc();
  const { state, setUp, again } = aSetup(bmc);
  state.refusing = ({ user }) => (user ? 'down' : undefined);
  await setUp('');
  const made = passOf(bmc);
  expect(made).toMatch(/^[a-zA-Z0-9]{16}$/);
  expect(state.reported).toEqual(['bmc: down']);
  state.refusing = () => undefined;
  await again();
  expect(passOf(bmc)).toBe(made);
  expect(state.told.at(-1)).toMatchObject({ user: 'sidero', pass: made });
});

test('a machine that died before it could tell gets a new password for the same user at its next boot', async () => {
  const bmc = aBmc();
  const first = aSetup(bmc);
  first.state.refusing = ({ user }) => (user ? 'down' : undefined);
  await first.setUp('');
  const lost = passOf(bmc);
  const second = aSetup(bmc);
  await second.setUp('');
  expect(passOf(bmc)).not.toBe(lost);
  expect(second.state.told[1]).toMatchObject({ pass: passOf(bmc) });
  expect([...bmc.users.values()].filter(({ name }) => name === 'sidero')).toHaveLength(1);
});

test('asked again after all was told, it makes a new password: somebody lost the old one', async () => {
  const bmc = aBmc();
  const { state, setUp } = aSetup(bmc);
  await setUp('');
  await setUp('');
  expect(state.told[3]?.pass).not.toBe(state.told[1]?.pass);
  expect(state.told[3]?.pass).toBe(passOf(bmc));
});

test('a failure is said and told once, and tried again more and more slowly', async () => {
  const bmc = aBmc();
  bmc.answering = ({ command }) => (command === 0x47 ? 0xd4 : 'as usual');
  const { state, setUp, machine } = aSetup(bmc);
  const tries = () => bmc.asked.filter(({ command }) => command === 0x47).length;
  for (let registrations = 0; registrations < 200; registrations++) {
    await setUp('');
    await machine.pause(25_000, new AbortController().signal);
  }
  expect(tries()).toBeGreaterThan(5);
  expect(tries()).toBeLessThan(12);
  expect(state.reported).toEqual(['bmc: Set User Password: the BMC refuses with d4h (its firmware firewall or a privilege forbids it)']);
  expect(machine.said).toHaveLength(1);
  bmc.answering = () => 'as usual';
  await machine.pause(60 * 60_000, new AbortController().signal);
  await setUp('');
  expect(state.told.at(-1)).toMatchObject({ pass: passOf(bmc) });
});

test.each([
  ['has no BMC', undefined, 'this machine has no BMC that it can talk to'],
  ['has a BMC that knows no users', 0xc1, 'Get User Access: the BMC refuses with c1h'],
])('a machine that %s says so on its console, and nobody is bothered', async (_what, code, expected) => {
  const bmc = aBmc();
  bmc.answering = ({ command }) => (command === 0x44 ? (code ?? 0) : 'as usual');
  const { state, setUp, machine } = aSetup(code ? bmc : undefined);
  await setUp('');
  expect(machine.said.join()).toContain(expected);
  expect(state.reported).toEqual([]);
});

test('a login that nobody can use from outside is told, with what stands in its way', async () => {
  const bmc = aBmc();
  bmc.channelAccess = [0x20, 0x04];
  const { state, setUp } = aSetup(bmc);
  await setUp('');
  expect(state.told[1]).toMatchObject({ user: 'sidero' });
  expect(state.reported.join()).toContain('IPMI over LAN is disabled on channel 1 of the BMC');
});

test('no password is said or reported, whatever fails', async () => {
  for (const command of [0x45, 0x46, 0x43, 0x44, 0x47, 0x41]) {
    const bmc = aBmc();
    bmc.answering = (request) => (request.command === command ? 0xcc : 'as usual');
    const { state, setUp, machine } = aSetup(bmc);
    state.refusing = ({ user }) => (user ? 'down' : undefined);
    await setUp('');
    const written = bmc.asked.filter(({ data }) => data.length >= 18 && data[1] === 2).map(({ data }) => String.fromCharCode(...data.slice(2, 18)));
    for (const pass of [...written, passOf(bmc)].filter(Boolean)) expect([...machine.said, ...state.reported].join()).not.toContain(pass);
  }
});

test('it stops when it is told to', async () => {
  const abort = new AbortController();
  const bmc = aBmc();
  bmc.answering = ({ command }) => (command === 0x45 ? (abort.abort(new Error('stop')), 0xc0) : 'as usual');
  const { state, setUp } = aSetup(bmc, { signal: abort.signal });
  await expect(setUp('')).rejects.toThrow('stop');
  expect(state.reported).toEqual([]);
});

test('passwords are 16 characters of 62, and never the same', () => {
  const many = Array.from({ length: 500 }, newPassword);
  expect(new Set(many).size).toBe(500);
  expect(many.every((pass) => /^[a-zA-Z0-9]{16}$/.test(pass))).toBe(true);
  expect(new Set(many.join('')).size).toBe(62);
});
