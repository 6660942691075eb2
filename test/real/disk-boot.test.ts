import { existsSync } from 'node:fs';
import { copyFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger, createMetrics, createResourceClient, markTrue, type ServerBinding, ServerBindingKind, ServerKind } from '@sidero/core';
import { aBinding, aServer } from '@sidero/testing';
import { createNetwork, diskFile, type MachineOptions, type Network, qemuSupport, startMachine } from '@sidero/testing/qemu';
import { describe, expect, test } from 'vitest';
import { AGENT_IMAGE, type Site, startSite } from './pxe-site.ts';
import { ensureTalosImage } from './talos/image.ts';
import { isTalosBuilt } from './talos/program.ts';

const PATIENCE_MS = 300_000;
const isPossible = qemuSupport(['uefi']).length === 0 && isTalosBuilt && existsSync(AGENT_IMAGE);
const MACHINE: MachineOptions = {
  name: 'uefi',
  firmware: 'uefi',
  uuid: '4c4c4544-0044-4a10-8054-efc0ffee0006',
  mac: '52:54:00:77:06:01',
  serial: 'SN-0601',
  disks: [{ bus: 'virtio', sizeMiB: 96, serial: 'DISK-0601' }],
};

/** Talos' stand-in is on the disk, and told so before. */
async function install(network: Network, { kubeConfig }: Site): Promise<void> {
  const disk = diskFile(network, { name: MACHINE.name, index: 0 });
  await copyFile(join((await ensureTalosImage()).folder, 'disk.img'), disk);
  await truncate(disk, MACHINE.disks![0]!.sizeMiB * 1024 * 1024);
  const log = createLogger({ level: 'silent' });
  const resources = createResourceClient({ kubeConfig: () => kubeConfig, log, metrics: createMetrics(), component: 'test' });
  const name = MACHINE.uuid;
  await resources.create(ServerKind, aServer({ metadata: { name }, spec: { accepted: true } }));
  await resources.create(ServerBindingKind, aBinding({ metadata: { name } }));
  await resources.change<ServerBinding>(ServerBindingKind, { name }, (draft) => {
    draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
  });
  await resources.close();
}

describe.skipIf(!isPossible)('an installed machine with UEFI that asks the network first', () => {
  test(
    'is sent to its disk, and boots that: it does not stop in its setup screen',
    async () => {
      await using network = await createNetwork();
      await using site = await startSite(network, { mode: 'full', range: ['10.77.0.50', '10.77.0.250'] });
      await install(network, site);
      await using machine = await startMachine(network, MACHINE);
      await machine.line(/"event":"waiting"/, { timeoutMs: PATIENCE_MS });
      expect(machine.lines.join('\n')).toMatch(/http:\/\/10\.77\.0\.1:8081\/ipxe\.\.\. ok[^]*Welcome to GRUB!/);
      expect(site.plane.lines.some((line) => line.includes(MACHINE.uuid) && line.includes('"target":"disk"'))).toBe(true);
    },
    2 * PATIENCE_MS,
  );
});
