import { copyFile, truncate } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger, createMetrics, createResourceClient, markTrue, type ServerBinding, ServerBindingKind, ServerKind } from '@sidero/core';
import { aBinding, aServer } from '@sidero/testing';
import { createNetwork, diskFile, type MachineOptions, qemuSupport, startMachine } from '@sidero/testing/qemu';
import { describe, expect, test } from 'vitest';
import { AGENT_IMAGE, startSite } from './pxe-site.ts';
import { ensureTalosImage } from './talos/image.ts';
import { isTalosBuilt } from './talos/program.ts';

const PATIENCE_MS = 300_000;

describe.skipIf(qemuSupport().length > 0 || !isTalosBuilt || !existsSync(AGENT_IMAGE))(
  'an installed machine whose firmware asks the network first',
  () => {
    test.each(['bios', 'uefi'] as const)(
      '%s: is sent to its disk, and boots that',
      async (firmware) => {
        const { folder } = await ensureTalosImage();
        await using network = await createNetwork();
        await using site = await startSite(network, { mode: 'full', range: ['10.77.0.50', '10.77.0.250'] });
        const clientOptions = {
          kubeConfig: () => site.kubeConfig,
          log: createLogger({ level: 'silent' }),
          metrics: createMetrics(),
          component: 'test',
        };
        const resources = createResourceClient(clientOptions);
        const machine: MachineOptions = {
          name: firmware,
          firmware,
          uuid: `4c4c4544-0044-4a10-8054-${firmware === 'bios' ? 'b0' : 'ef'}c0ffee0006`,
          mac: '52:54:00:77:06:01',
          serial: 'SN-0601',
          disks: [{ bus: 'virtio', sizeMiB: 96, serial: 'DISK-0601' }],
        };
        await resources.create(ServerKind, aServer({ metadata: { name: machine.uuid }, spec: { accepted: true } }));
        await resources.create(ServerBindingKind, aBinding({ metadata: { name: machine.uuid } }));
        await resources.change<ServerBinding>(ServerBindingKind, { name: machine.uuid }, (draft) => {
          draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
        });
        await resources.close();
        await copyFile(join(folder, 'disk.img'), diskFile(network, { name: machine.name, index: 0 }));
        await truncate(diskFile(network, { name: machine.name, index: 0 }), 96 * 1024 * 1024);

        await using running = await startMachine(network, machine);
        await running.line(/"event":"waiting"/, { timeoutMs: PATIENCE_MS });
        const said = running.lines.join('\n');
        expect(said).toMatch(/http:\/\/10\.77\.0\.1:8081\/ipxe\.\.\. ok[^]*Welcome to GRUB!/);
        expect(site.plane.lines.some((line) => line.includes(machine.uuid) && line.includes('"target":"disk"'))).toBe(true);
      },
      2 * PATIENCE_MS,
    );
  },
);
