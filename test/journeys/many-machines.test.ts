import { ServerKind } from '@sidero/core';
import { testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';

test('100 machines at once all become accepted Servers', async () => {
  await using sidero = await testSidero();
  const machines = sidero.machines(100, { seed: 'hundred' });

  await Promise.all(machines.map((machine) => machine.bootTo('accepted')));

  const servers = await sidero.resources.list(ServerKind, {}, { live: true });
  expect(new Set(servers.map(({ metadata }) => metadata.name))).toEqual(new Set(machines.map(({ uuid }) => uuid)));
  expect(servers.every(({ spec }) => spec?.accepted)).toBe(true);
}, 180_000);

test('machines on a network that loses one packet in twenty arrive all the same', async () => {
  await using sidero = await testSidero({ bootIpxe: { tftpTimeoutMs: 30 } });
  const machines = sidero.machines(4, { seed: 'lossy', misbehaviour: { loss: 0.05 } });
  await Promise.all(machines.map((machine) => machine.bootTo('accepted')));
}, 180_000);

test.each(['tftp', 'kernel', 'initrd'] as const)('a machine whose power fails in the middle of its %s boots the next time', async (stage) => {
  await using sidero = await testSidero();
  const [unlucky] = sidero.machines(1, { seed: stage, misbehaviour: { dies: { stage, afterBytes: 20_000 } } });
  await unlucky!.run(new AbortController().signal);
  expect(unlucky!.state).toMatchObject({ stage: 'off', detail: expect.stringContaining('power failed') });

  const [again] = sidero.machines(1, { seed: stage });
  expect(again!.uuid).toBe(unlucky!.uuid);
  await again!.bootTo('accepted');
});
