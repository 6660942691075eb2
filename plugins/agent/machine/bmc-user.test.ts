import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BmcRefusal, localBmc } from './bmc-commands.ts';
import { aBmc, aMachineWith, type Answering, type BmcFixture } from './bmc.fixture.ts';
import { findLan } from './bmc-lan.ts';
import { setUpUser } from './bmc-user.ts';

const { signal } = new AbortController();
const pass = 'abcdefghijklmnop';
const setUp = (bmc: BmcFixture, more: { user?: string; channel?: number } = {}) => {
  const machine = aMachineWith(bmc);
  return { machine, done: setUpUser(localBmc(machine, signal), { user: 'sidero', pass, channel: 1, ...more }) };
};
const slotOf = (bmc: BmcFixture, name = 'sidero') => [...bmc.users].find(([, user]) => user.name === name)?.[0];
const aUser = (name: string) => ({ name, pass: 'theirs', isEnabled: true, access: { 1: 0x14 } });
const named = (bmc: BmcFixture, command: number) => bmc.asked.filter((request) => request.netFn === 0x06 && request.command === command);

test('the user gets the first slot that nobody uses, enabled, as administrator on that channel, and nobody else is touched', async () => {
  const bmc = aBmc();
  await setUp(bmc, { channel: 3 }).done;
  expect(bmc.users.get(3)).toEqual({ name: 'sidero', pass, isEnabled: true, access: { 3: 0x14 } });
  expect(bmc.users.get(2)).toEqual({ ...aUser('ADMIN'), pass: 'factory' });
});

test('the bytes are those of IPMI 2.0', async () => {
  const bmc = aBmc();
  await setUp(bmc).done;
  const zeros = Array.from({ length: 10 }, () => 0);
  const written = bmc.asked.filter(({ command }) => [0x43, 0x45, 0x47].includes(command));
  expect(written).toEqual([
    { netFn: 6, command: 0x45, data: [3, ...Buffer.from('sidero'), ...zeros] },
    { netFn: 6, command: 0x47, data: [3, 2, ...Buffer.from(pass)] },
    { netFn: 6, command: 0x43, data: [0x91, 3, 4, 0] },
    { netFn: 6, command: 0x47, data: [3, 1] },
    { netFn: 6, command: 0x47, data: [3, 3, ...Buffer.from(pass)] },
  ]);
});

test('a user of that name, even a disabled one in the last slot, gets the new password and no second one is made', async () => {
  const bmc = aBmc();
  bmc.slots = [0x3f, 0];
  bmc.users.set(63, { ...aUser('sidero'), isEnabled: false, access: {} });
  await setUp(bmc).done;
  expect(bmc.users.get(63)).toEqual({ name: 'sidero', pass, isEnabled: true, access: { 1: 0x14 } });
  expect(named(bmc, 0x45)).toEqual([]);
});

test('32 slots are 32, not none', async () => {
  const bmc = aBmc();
  bmc.slots = [0x20, 0];
  for (let id = 2; id < 32; id++) bmc.users.set(id, aUser(`user${id}`));
  await setUp(bmc).done;
  expect(slotOf(bmc)).toBe(32);
});

test('"(Empty User)" is no user', async () => {
  const bmc = aBmc();
  bmc.users.set(3, aUser('(Empty User) '));
  await setUp(bmc).done;
  expect(slotOf(bmc)).toBe(3);
});

test('a slot whose name cannot be read is used when there is no better one', async () => {
  const bmc = aBmc();
  bmc.slots = [4, 1];
  // The first look at each; once it has a name it can be read.
  bmc.answering = ({ command, data }, times) => (command === 0x46 && data[0] === 3 && times < 3 ? 0xcc : 'as usual');
  await setUp(bmc).done;
  expect(slotOf(bmc)).toBe(4);
  bmc.users.set(4, aUser('other'));
  bmc.asked.length = 0;
  await setUp(bmc).done;
  expect(slotOf(bmc)).toBe(3);
});

test('slots with fixed names are not tried', async () => {
  const bmc = aBmc();
  bmc.slots = [10, 5];
  await setUp(bmc).done;
  expect(slotOf(bmc)).toBe(6);
});

test.each<[string, Answering]>([
  ['refuses the name', ({ command, data }) => (command === 0x45 && data[0] === 3 ? 0xcc : 'as usual')],
  ['does not keep the name', ({ command, data }) => (command === 0x45 && data[0] === 3 ? [0] : 'as usual')],
])('a slot that %s is one that the vendor keeps: the next is taken', async (_how, answering) => {
  const bmc = aBmc();
  bmc.answering = answering;
  await setUp(bmc).done;
  expect(slotOf(bmc)).toBe(4);
});

test('a BMC without free slot says so, and why', async () => {
  const bmc = aBmc();
  bmc.slots = [2, 1];
  await expect(setUp(bmc).done).rejects.toThrow('the BMC has no free slot for the user sidero');
  bmc.slots = [3, 1];
  bmc.answering = ({ command }) => (command === 0x45 ? 0xcc : 'as usual');
  await expect(setUp(bmc).done).rejects.toThrow('Set User Name: the BMC refuses with cch (invalid data in the request)');
});

test('a BMC that wants 20-byte passwords gets one', async () => {
  const bmc = aBmc();
  bmc.answering = ({ command, data }) => (command === 0x47 && data[1] === 2 && data.length !== 22 ? 0xc7 : 'as usual');
  await setUp(bmc).done;
  expect(named(bmc, 0x47).map(({ data }) => [data[0], data[1], data.length])).toEqual([
    [3, 2, 18],
    [0x83, 2, 22],
    [3, 1, 2],
    [0x83, 3, 22],
  ]);
});

test('a BMC that stored the password in 20 bytes is tested with 20', async () => {
  const bmc = aBmc();
  bmc.answering = ({ command, data }) => (command === 0x47 && data[1] === 3 && data.length !== 22 ? 0x81 : 'as usual');
  await setUp(bmc).done;
});

test('a BMC that forgets the password it took is found out', async () => {
  const bmc = aBmc();
  bmc.answering = ({ command, data }) => (command === 0x47 && data[1] === 2 ? [0] : 'as usual');
  await expect(setUp(bmc).done).rejects.toThrow('the BMC did not keep the password it was given');
});

test('a BMC that cannot test passwords is believed, and that is said', async () => {
  const bmc = aBmc();
  bmc.answering = ({ command, data }) => (command === 0x47 && data[1] === 3 ? 0xcc : 'as usual');
  const { machine, done } = setUp(bmc);
  await done;
  expect(machine.said.join()).toContain('the new login on the BMC is not tested: Test Password: the BMC refuses with cch');
});

test('a BMC that takes the access and does not give it is found out; one that does not tell is believed', async () => {
  const bmc = aBmc();
  bmc.answering = ({ command }) => (command === 0x43 ? [0] : 'as usual');
  await expect(setUp(bmc).done).rejects.toThrow('the BMC did not make the user sidero an administrator on channel 1');
  bmc.answering = ({ command }, times) => (command === 0x43 ? [0] : command === 0x44 && times % 2 === 1 ? 0xcc : 'as usual');
  bmc.asked.length = 0;
  await setUp(bmc).done;
});

test('a busy BMC is asked again', async () => {
  const bmc = aBmc();
  bmc.answering = (_request, times) => (times === 0 ? 0xc0 : 'as usual');
  const { machine, done } = setUp(bmc);
  await done;
  expect(slotOf(bmc)).toBe(3);
  expect(machine.now()).toBeGreaterThan(1000);
});

test.each<[string, Answering, object]>([
  ['stays busy', ({ command }) => (command === 0x46 ? 0xc0 : 'as usual'), { message: 'Get User Name: the BMC refuses with c0h (it is busy)' }],
  ['falls silent', ({ command }) => (command === 0x47 ? undefined : 'as usual'), { message: 'Set User Password: the BMC does not answer' }],
  ['knows no users', () => 0xc1, { isQuiet: true, message: 'Get User Access: the BMC refuses with c1h (it does not know this command)' }],
  ['refuses the password', ({ command, data }) => (command === 0x47 && data[1] === 2 ? 0xd4 : 'as usual'), { code: 0xd4, isQuiet: false }],
  ['refuses the access', ({ command }) => (command === 0x43 ? 0xcc : 'as usual'), { message: expect.stringContaining('Set User Access') }],
  ['refuses to enable', ({ command, data }) => (command === 0x47 && data[1] === 1 ? 0xd5 : 'as usual'), { code: 0xd5 }],
  ['says nothing at all in its answers', () => [], { code: 0xff }],
])('a BMC that %s ends the set-up with its reason, without the password', async (_how, answering, expected) => {
  const bmc = aBmc();
  bmc.answering = answering;
  const refusal: unknown = await setUp(bmc).done.catch((thrown: unknown) => thrown);
  expect(refusal).toBeInstanceOf(BmcRefusal);
  expect(refusal).toMatchObject(expected);
  expect((refusal as Error).message).not.toContain(pass);
});

test.each(['', 'seventeen-letters', 'sidéro', 'with blank'])('the user name %j is refused before the BMC is asked', async (user) => {
  const bmc = aBmc();
  await expect(setUp(bmc, { user }).done).rejects.toThrow('a BMC cannot have the user');
  expect(bmc.asked).toEqual([]);
});

test('whatever a BMC answers, it ends, in order or with a refusal', async () => {
  const reply = fc.option(fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 24 }), { nil: undefined });
  const answers = fc.array(fc.oneof(fc.constant('as usual' as const), reply, fc.constant([0]), fc.constant([0xc0])), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(answers, async (script) => {
      const bmc = aBmc();
      bmc.answering = () => (script.length > 0 ? script.shift() : 'as usual');
      const local = localBmc(aMachineWith(bmc), signal);
      await findLan(local)
        .then(({ channel }) => setUpUser(local, { user: 'sidero', pass, channel }))
        .catch((thrown: unknown) => expect(thrown).toBeInstanceOf(BmcRefusal));
    }),
  );
});
