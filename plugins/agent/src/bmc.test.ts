import { create } from '@bufbuild/protobuf';
import type { ResourceClient, Secret, Server } from '@sidero/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BMCInfoSchema } from './agent_pb.ts';
import { bmcOf, bmcUpdateOf, orderBmcSetup } from './bmc.ts';
import { border } from './border.ts';

type Bmc = NonNullable<NonNullable<Server['spec']>['bmc']>;
const uuid = '4c4c4544-0039-3010-8047-c4c04f4e4d32';
const secret = `${uuid}-bmc`;
const check = border('UpdateBMCInfo');
const update = (told: { ip?: string; port?: number; user?: string; pass?: string }, from = '10.0.0.7') =>
  bmcUpdateOf(create(BMCInfoSchema, told), check, from);
const ref = (key: string, name = secret) => ({ secretKeyRef: { namespace: 'default', name, key } });
const ours = { endpoint: '10.0.9.1', port: 623, userFrom: ref('user'), passFrom: ref('pass') };

test('the first address gets the port 623 when none is told', () => {
  expect(bmcOf(undefined, update({ ip: '10.0.9.1' }), secret)).toEqual({ endpoint: '10.0.9.1', port: 623 });
});

test('a login alone keeps address and port that were found before', () => {
  const known = { endpoint: '10.0.9.1', port: 6230, interface: 'lan' };
  expect(bmcOf(known, update({ user: 'sidero', pass: 'p' }), secret)).toEqual({ ...known, userFrom: ref('user'), passFrom: ref('pass') });
});

test('a new address replaces the one before; a host name stays, with its port', () => {
  expect(bmcOf(ours, update({ ip: '10.0.9.2', port: 6230 }), secret)).toEqual({ ...ours, endpoint: '10.0.9.2', port: 6230 });
  const named = { endpoint: 'bmc1.example.com', port: 7000 };
  expect(bmcOf(named, update({ ip: '10.0.9.2', port: 623 }), secret)).toEqual(named);
});

test('a user without password, or the reverse, is no login', () => {
  expect(update({ user: 'sidero' }).login).toBeUndefined();
  expect(update({ pass: 'p' }).login).toBeUndefined();
});

test.each<[string, Bmc]>([
  ['in the spec', { endpoint: '10.0.9.1', port: 623, user: 'admin', pass: 'x' }],
  ['in another Secret', { endpoint: '10.0.9.1', port: 623, userFrom: ref('user', 'theirs'), passFrom: ref('pass', 'theirs') }],
])('a whole login that somebody gave %s stays', (_where, known) => {
  expect(bmcOf(known, update({ user: 'sidero', pass: 'p' }), secret)).toEqual(known);
});

test('a literal user stays, and the reference beside it is to its password', () => {
  const known = { endpoint: '10.0.9.1', port: 623, user: 'admin' };
  expect(bmcOf(known, update({ user: 'admin', pass: 'p' }), secret)).toEqual({ ...known, userFrom: ref('user'), passFrom: ref('pass') });
});

test.each([
  [{ ip: '0.0.0.0' }, 'bmc_info.ip'],
  [{ ip: '::' }, 'bmc_info.ip'],
  [{ ip: '127.0.0.1' }, 'bmc_info.ip is 127.0.0.1, which is this host'],
  [{ ip: '::1' }, 'bmc_info.ip'],
  [{ ip: '::ffff:127.0.0.1' }, 'bmc_info.ip'],
  [{ ip: '169.254.0.17' }, 'bmc_info.ip'],
  [{ ip: 'fe80::1' }, 'bmc_info.ip'],
  [{ ip: '255.255.255.255' }, 'bmc_info.ip'],
  [{ ip: '224.0.0.1' }, 'bmc_info.ip'],
  [{ ip: 'bmc.example; reboot' }, 'bmc_info.ip is not an IP address'],
  [{ ip: '10.0.0.1', port: 65_536 }, 'bmc_info.port'],
  [{ user: 'u'.repeat(65), pass: 'p' }, 'bmc_info'],
])('%j is refused, naming %s and no secret', (told, field) => {
  expect(() => update(told)).toThrow(field);
});

test('a machine on this very host may have its BMC here', () => {
  expect(update({ ip: '127.0.0.9' }, '127.0.0.1').ip).toBe('127.0.0.9');
  expect(() => update({ ip: '127.0.0.9' }, 'unknown')).toThrow('this host');
});

test('a request without BMC is refused', () => {
  expect(() => bmcUpdateOf(undefined, check, '10.0.0.7')).toThrow('bmc_info is missing');
});

test('any text is an address or refused', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), fc.string(), (ip, from) => {
      try {
        update({ ip }, from);
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'SIDERO_AGENT_REQUEST_INVALID' });
      }
    }),
  );
});

const able = { agentVersion: '1', capabilities: ['wipe', 'bmc-setup'] };
const original = { agentVersion: '', capabilities: [] };
const asked = (bmc: Bmc | undefined, given: { agent?: typeof able; data?: Secret['data'] | undefined } = {}) => {
  const server = { metadata: { name: uuid }, spec: { accepted: true, ...(bmc && { bmc }) } } as Server;
  const resources: Pick<ResourceClient, 'get'> = {
    get: async (_kind, { name }) => (given.data && name === secret ? ({ metadata: { name }, data: given.data } as never) : undefined),
  };
  return orderBmcSetup(resources, server, given.agent ?? able);
};
const data = { user: 'c2lkZXJv', pass: 'cA==' };

test.each<[string, Bmc | undefined, string]>([
  ['no BMC', undefined, ''],
  ['an address only', { endpoint: '10.0.9.1' }, ''],
  ['a user and no password', { endpoint: '10.0.9.1', user: 'admin' }, 'admin'],
  ['a reference to a user only', { endpoint: '10.0.9.1', userFrom: ref('user', 'theirs') }, ''],
  ['our Secret, which is gone', ours, ''],
  ['a user and our Secret, which is gone', { ...ours, user: 'admin' }, 'admin'],
])('a login is asked for: %s', async (_what, bmc, bmcUser) => {
  expect(await asked(bmc)).toEqual({ setupBmc: true, bmcUser });
});

test('a Secret of ours without a value is as good as gone', async () => {
  expect(await asked(ours, { data: { user: data.user } })).toMatchObject({ setupBmc: true });
  expect(await asked(ours, { data: { ...data, pass: '' } })).toMatchObject({ setupBmc: true });
  expect(await asked(ours, { data })).toMatchObject({ setupBmc: false });
});

test.each<[string, Bmc]>([
  ['a literal login', { endpoint: '10.0.9.1', user: 'admin', pass: 'x' }],
  ['a literal login beside our Secret, which is gone', { ...ours, user: 'admin', pass: 'x' }],
  ["somebody else's Secret, there or not", { endpoint: '10.0.9.1', userFrom: ref('user', 'theirs'), passFrom: ref('pass', 'theirs') }],
  ['a literal password whose user is missing', { endpoint: '10.0.9.1', pass: 'x' }],
])('nothing is asked for: %s', async (_what, bmc) => {
  expect(await asked(bmc)).toEqual({ setupBmc: false, bmcUser: '' });
});

test('only an agent that can is asked; the one of the original only for its own user', async () => {
  expect(await asked(undefined, { agent: { agentVersion: '1', capabilities: ['wipe'] } })).toMatchObject({ setupBmc: false });
  expect(await asked(undefined, { agent: original })).toMatchObject({ setupBmc: true });
  expect(await asked({ endpoint: '10.0.9.1', user: 'admin' }, { agent: original })).toMatchObject({ setupBmc: false });
});
