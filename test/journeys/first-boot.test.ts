import { type Server, ServerKind } from '@sidero/core';
import { hardwareInformation, inventory, testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';

const stagesOf = (machine: { history: readonly { stage: string }[] }) => [...new Set(machine.history.map(({ stage }) => stage))];

test.each(['bios', 'uefi'] as const)('a bare %s machine network-boots, registers, is an accepted Server and wiped', async (firmware) => {
  await using sidero = await testSidero();
  const machine = sidero.machine({ seed: firmware, inventory: { ...inventory(firmware), firmware } });

  await machine.bootTo('clean');

  expect(stagesOf(machine)).toEqual(['off', 'tftp', 'ipxe', 'kernel', 'initrd', 'agent', 'accepted', 'wiping', 'clean']);
  expect(machine.disks.map(({ content }) => content)).toEqual(machine.disks.map(() => 'nothing'));
  const server = await sidero.resources.get(ServerKind, { name: machine.uuid }, { live: true });
  expect(server).toMatchObject({ spec: { accepted: true }, status: { isClean: true } });
  expect(server?.spec?.hardware).toEqual(hardwareInformation(machine.inventory));
  expect(server?.status?.addresses).toEqual([{ type: 'InternalIP', address: machine.address }]);
});

test('a registered server waits until it is accepted by hand, and its machine hears of it', async () => {
  await using sidero = await testSidero({ agent: { autoAccept: false } });
  const machine = sidero.machine();
  await machine.bootTo('registered');
  expect(await sidero.resources.get(ServerKind, { name: machine.uuid }, { live: true })).toMatchObject({ spec: { accepted: false } });

  await sidero.resources.change<Server>(ServerKind, { name: machine.uuid }, (draft) => {
    draft.spec!.accepted = true;
  });

  await machine.reached('accepted', AbortSignal.timeout(15_000));
});

test('iPXE that is in the ROM needs no TFTP', async () => {
  await using sidero = await testSidero();
  const machine = sidero.machine({ hasIpxeRom: true });
  await machine.bootTo('accepted');
  expect(stagesOf(machine)).not.toContain('tftp');
});

test('a machine that boots a second time is the same Server, with its hardware brought up to date', async () => {
  await using sidero = await testSidero();
  const [first] = sidero.machines(1, { seed: 'again' });
  await first!.bootTo('accepted');
  first!.cutPower();
  const disks = first!.inventory.disks.slice(1);
  const [second] = sidero.machines(1, { seed: 'again', inventory: { ...first!.inventory, disks } });
  await second!.bootTo('accepted');

  const servers = await sidero.resources.list(ServerKind, {}, { live: true });
  expect(servers).toHaveLength(1);
  expect(servers[0]?.spec?.hardware?.storage?.deviceCount).toBe(disks.length);
});

test.runIf(process.platform === 'linux').each([
  ['full', 'bios'],
  ['full', 'uefi'],
  ['proxy', 'bios'],
  ['proxy', 'uefi'],
] as const)('%s DHCP tells a %s machine what to boot', async (dhcp, firmware) => {
  await using sidero = await testSidero({ dhcp });
  const machine = sidero.machine({ seed: `${dhcp} ${firmware}`, inventory: { ...inventory(dhcp, firmware), firmware } });
  await machine.bootTo('clean');
  expect(stagesOf(machine)).toEqual(['off', 'dhcp', 'tftp', 'ipxe', 'kernel', 'initrd', 'agent', 'accepted', 'wiping', 'clean']);
  const server = await sidero.resources.get(ServerKind, { name: machine.uuid }, { live: true });
  expect(server?.status?.addresses).toEqual([{ type: 'InternalIP', address: machine.address }]);
  expect(machine.address).toMatch(dhcp === 'full' ? /^127\.100\./ : /^127\.64\./);
});
