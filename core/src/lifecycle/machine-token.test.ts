import { expect, test } from 'vitest';
import type { ResourceClient } from '../resources/client.ts';
import { type BoundMachine, createMachineTokens } from './machine-token.ts';

const keptKey = (key: string, reads: { count: number } = { count: 0 }) =>
  ({
    get: async () => {
      reads.count++;
      return { data: { key: Buffer.from(key.repeat(32)).toString('base64') } };
    },
  }) as unknown as ResourceClient;
const bound: BoundMachine = { uuid: 'u', metalMachine: { namespace: 'default', name: 'm' } };

test('a token proves one purpose, one server and one MetalMachine', async () => {
  const tokens = createMachineTokens(keptKey('k'));
  const token = await tokens.sign('config', bound);
  expect(token).toMatch(/^[\w-]{43}$/);
  expect(await tokens.check('config', bound, token)).toBe(true);
  expect(await tokens.check('join', bound, token)).toBe(false);
  expect(await tokens.check('config', { ...bound, uuid: 'v' }, token)).toBe(false);
  expect(await tokens.check('config', { ...bound, metalMachine: { namespace: 'default', name: 'n' } }, token)).toBe(false);
  // Where one part ends and the next begins is part of the proof.
  expect(await tokens.check('config', { uuid: 'u', metalMachine: { namespace: 'defaul', name: 'tm' } }, token)).toBe(false);
});

test('the same key gives the same token, another key another', async () => {
  const token = await createMachineTokens(keptKey('k')).sign('join', bound);
  expect(await createMachineTokens(keptKey('k')).check('join', bound, token)).toBe(true);
  expect(await createMachineTokens(keptKey('x')).check('join', bound, token)).toBe(false);
});

test.each(['', 'x', '!'.repeat(43), 'A'.repeat(44)])('what is no token is none: %j', async (token) => {
  expect(await createMachineTokens(keptKey('k')).check('config', bound, token)).toBe(false);
});

test('the key that a move from another cluster brings is taken on while we run', async () => {
  let key = 'own';
  let clock = 0;
  const moving = { get: async () => keptKey(key).get({} as never, { name: '' }) } as unknown as ResourceClient;
  const tokens = createMachineTokens(moving, () => clock);
  const before = await tokens.sign('config', bound);
  const theirs = await createMachineTokens(keptKey('theirs')).sign('config', bound);
  expect(await tokens.check('config', bound, theirs)).toBe(false);
  key = 'theirs';
  clock += 1000;
  expect(await tokens.check('config', bound, theirs)).toBe(true);
  clock += 10_000;
  expect(await tokens.sign('config', bound)).toBe(theirs);
  expect(await tokens.check('config', bound, before)).toBe(false);
});

test('wrong tokens do not make it read the key more than once a second', async () => {
  const reads = { count: 0 };
  let clock = 0;
  const tokens = createMachineTokens(keptKey('k', reads), () => clock);
  for (; clock < 2500; clock += 10) await tokens.check('config', bound, 'A'.repeat(43));
  expect(reads.count).toBe(3);
});

test('the key is read once, and again after a failure', async () => {
  const reads = { count: 0 };
  const tokens = createMachineTokens(keptKey('k', reads));
  await Promise.all([tokens.sign('config', bound), tokens.sign('join', bound)]);
  expect(reads.count).toBe(1);

  let isAway = true;
  const client = { get: async () => (isAway ? Promise.reject(new Error('away')) : keptKey('k').get({} as never, { name: '' })) };
  const others = createMachineTokens(client as unknown as ResourceClient);
  await expect(others.sign('config', bound)).rejects.toThrow('away');
  isAway = false;
  expect(await others.sign('config', bound)).toMatch(/^[\w-]{43}$/);
});
