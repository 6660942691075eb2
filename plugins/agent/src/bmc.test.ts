import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { BMCInfoSchema } from './agent_pb.ts';
import { bmcOf, bmcUpdateOf } from './bmc.ts';
import { border } from './border.ts';

const check = border('UpdateBMCInfo');
const update = (told: { ip?: string; port?: number; user?: string; pass?: string }) => bmcUpdateOf(create(BMCInfoSchema, told), check);

test('the first address gets the port 623 when none is told', () => {
  expect(bmcOf(undefined, update({ ip: '10.0.9.1' }), 'x-bmc')).toEqual({ endpoint: '10.0.9.1', port: 623 });
});

test('a login alone keeps the port that was found before', () => {
  const known = { endpoint: '10.0.9.1', port: 6230, interface: 'lan' };
  expect(bmcOf(known, update({ user: 'sidero', pass: 'p' }), 'x-bmc')).toMatchObject({
    ...known,
    userFrom: { secretKeyRef: { namespace: 'default', name: 'x-bmc', key: 'user' } },
    passFrom: { secretKeyRef: { namespace: 'default', name: 'x-bmc', key: 'pass' } },
  });
});

test('a user without password, or the reverse, is no login', () => {
  expect(update({ user: 'sidero' }).login).toBeUndefined();
  expect(update({ pass: 'p' }).login).toBeUndefined();
});

test('literals in the spec stay', () => {
  expect(bmcOf({ endpoint: 'a', user: 'admin', pass: 'x' }, update({ user: 'sidero', pass: 'p' }), 'x-bmc')).toMatchObject({
    user: 'admin',
    pass: 'x',
  });
});

test.each([
  [{ ip: '0.0.0.0' }, 'bmc_info.ip'],
  [{ ip: 'bmc.example; reboot' }, 'bmc_info.ip'],
  [{ ip: '10.0.0.1', port: 65_536 }, 'bmc_info.port'],
  [{ user: 'u'.repeat(65), pass: 'p' }, 'bmc_info'],
])('%j is refused, naming %s and no secret', (told, field) => {
  expect(() => update(told)).toThrow(field);
});

test('a request without BMC is refused', () => {
  expect(() => bmcUpdateOf(undefined, check)).toThrow('bmc_info is missing');
});
