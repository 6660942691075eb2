import { expect, expectTypeOf, test } from 'vitest';
import { aBinding, aBootRequest, aHardware, anEnvironment, aServer, aServerClass } from './fixtures.ts';
import { inventory } from './machine/hardware.ts';

test('the Server fixture is as large as a real one', () => {
  const bytes = JSON.stringify(aServer()).length;
  expect(bytes).toBeGreaterThan(4000);
  expect(bytes).toBeLessThan(5000);
});

test('an override changes one leaf and leaves its neighbours', () => {
  const server = aServer({ spec: { accepted: false, hardware: { system: { serialNumber: 'X' } } } });
  expect(server.spec?.accepted).toBe(false);
  expect(server.spec?.hardware?.system).toEqual({ ...aServer().spec?.hardware?.system, serialNumber: 'X' });
});

test('undefined takes a field out, a list is replaced whole', () => {
  const server = aServer({ status: undefined, spec: { hardware: { storage: { devices: [] } } } });
  expect(server).not.toHaveProperty('status');
  expect(server.spec?.hardware?.storage?.devices).toEqual([]);
});

test('a server with another UUID has that name too', () => {
  const uuid = '4c4c4544-0038-4810-8052-b4c04f4c4232';
  expect(aServer({ spec: { hardware: { system: { uuid } } } }).metadata.name).toBe(uuid);
});

test('server, binding and boot request are about the same machine', () => {
  expect(aBinding().metadata.name).toBe(aServer().metadata.name);
  expect(aBootRequest().uuid).toBe(aServer().metadata.name);
  expect(aServer().spec?.hardware?.network?.interfaces?.map(({ mac }) => mac)).toContain(aBootRequest().mac);
});

test('what one test changes, the next does not see', () => {
  const server = aServer();
  server.spec!.hardware!.system!.serialNumber = 'changed';
  expect(aServer().spec?.hardware?.system?.serialNumber).not.toBe('changed');
});

test('an override of a field that does not exist is a type error', () => {
  // @ts-expect-error the field is called accepted
  expect(aServer({ spec: { acepted: true } })).toBeTruthy();
  expectTypeOf(aServerClass().spec).toEqualTypeOf<ReturnType<typeof aServerClass>['spec']>();
  expect(anEnvironment().metadata.name).toBe('default');
});

test('1,000 machines have 1,000 UUIDs, serial numbers and MAC addresses', () => {
  const machines = Array.from({ length: 1000 }, (_, index) => inventory('rack', index));
  expect(new Set(machines.map(({ system }) => system.uuid)).size).toBe(1000);
  expect(new Set(machines.map(({ system }) => system.manufacturer + system.serialNumber)).size).toBe(1000);
  expect(new Set(machines.flatMap(({ interfaces }) => interfaces.map(({ mac }) => mac))).size).toBe(4000);
  for (const { system, interfaces } of machines) {
    expect(system.uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    for (const { mac } of interfaces) expect(mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  }
});

test('the same seed is the same machine', () => {
  expect(inventory('rack', 7)).toEqual(inventory('rack', 7));
  expect(aHardware()).toEqual(aHardware());
});
