import { EventKind, ServerKind } from '@sidero/core';
import { inventory, testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';

const NEVER_REAL = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '03000200-0400-0500-0006-000700080009'];

test('a second machine with the UUID of a known one is refused, and nothing is overwritten', async () => {
  await using sidero = await testSidero();
  const [first] = sidero.machines(1, { seed: 'first' });
  await first!.bootTo('accepted');
  first!.cutPower();
  const before = await sidero.resources.get(ServerKind, { name: first!.uuid }, { live: true });

  // It has the MAC of nobody known, so boot authentication must not be what stops it: it asks from the first one's address.
  const second = sidero.machine({ seed: 'second', address: first!.address, misbehaviour: { uuid: first!.uuid } });
  await expect(second.bootTo('accepted', AbortSignal.timeout(10_000))).rejects.toThrow(/serial number|known machine/);

  const after = await sidero.resources.get(ServerKind, { name: first!.uuid }, { live: true });
  expect(after?.spec).toEqual(before?.spec);
  const events = await sidero.resources.list(EventKind, {}, { live: true });
  expect(events.filter(({ type, involvedObject }) => type === 'Warning' && involvedObject.name === first!.uuid)).not.toEqual([]);
});

test('a machine with a new network card is the same machine', async () => {
  await using sidero = await testSidero();
  const [machine] = sidero.machines(1, { seed: 'swapped' });
  await machine!.bootTo('accepted');
  machine!.cutPower();
  const [first, ...others] = inventory('other').interfaces;
  const interfaces = [first!, ...machine!.inventory.interfaces.slice(1)];
  expect(others).not.toEqual([]);
  const [repaired] = sidero.machines(1, { seed: 'swapped', inventory: { ...machine!.inventory, interfaces } });
  await repaired!.bootTo('accepted');
  const server = await sidero.resources.get(ServerKind, { name: machine!.uuid }, { live: true });
  expect(server?.spec?.hardware?.network?.interfaces?.[0]?.mac).toBe(first!.mac);
});

test.each(NEVER_REAL)('machines that share the UUID %s are refused, and make no Server', async (uuid) => {
  await using sidero = await testSidero();
  const machines = sidero.machines(2, { seed: 'nobody', misbehaviour: { uuid } });
  const boots = machines.map((machine) => machine.bootTo('accepted', AbortSignal.timeout(10_000)));
  for (const boot of await Promise.allSettled(boots)) expect(boot.status).toBe('rejected');
  expect(await sidero.resources.list(ServerKind, {}, { live: true })).toEqual([]);
});
