import { existsSync } from 'node:fs';
import { addressServer, createNetwork, type Firmware, type MachineOptions, qemuSupport, startMachine } from '@sidero/testing/qemu';
import type { Server } from '@sidero/core';
import { describe, expect, test, vi } from 'vitest';
import { AGENT_IMAGE, type Site, startSite } from './pxe-site.ts';

const isPossible = qemuSupport().length === 0 && existsSync(AGENT_IMAGE);

function aMachine(firmware: Firmware, more: Partial<MachineOptions> = {}): MachineOptions {
  return {
    name: firmware,
    firmware,
    uuid: `4c4c4544-0042-4a10-8054-${firmware === 'bios' ? 'b0' : 'ef'}c0ffee0001`,
    mac: '52:54:00:77:00:01',
    serial: 'SN-4711',
    memoryMiB: 1024,
    disks: [{ bus: 'virtio', sizeMiB: 64, serial: 'DISK-0815' }],
    ...more,
  };
}

/** Powers the machine on and waits until the API has it as accepted; on failure the error shows both ends. */
async function untilAccepted(site: Site, network: Parameters<typeof startMachine>[0], options: MachineOptions): Promise<Server> {
  await using machine = await startMachine(network, options);
  try {
    return await vi.waitFor(
      async () => {
        const server = await site.server(options.uuid);
        expect(server?.spec?.accepted).toBe(true);
        return server!;
      },
      { timeout: 240_000, interval: 500 },
    );
  } catch (cause) {
    const ends = [machine, site.plane].map(({ name, lines }) => `--- ${name}\n${lines.slice(-40).join('\n')}`);
    throw new Error(`${options.name} was not accepted:\n${ends.join('\n')}`, { cause });
  }
}

/** What the Server must say of the machine, whatever it was booted with. */
function itsFacts({ uuid, serial, mac, disks = [] }: MachineOptions): unknown {
  return expect.objectContaining({
    system: expect.objectContaining({ uuid, serialNumber: serial, manufacturer: 'Sidero', productName: 'QEMU' }),
    memory: expect.objectContaining({ totalSize: '1 GB' }),
    storage: expect.objectContaining({
      deviceCount: disks.length,
      devices: disks.map(({ serial: serialNumber }) => expect.objectContaining({ serialNumber })),
    }),
    network: expect.objectContaining({ interfaces: expect.arrayContaining([expect.objectContaining({ mac })]) }),
  });
}

describe.skipIf(!isPossible)('a bare machine with real firmware', () => {
  test.each([
    ['SeaBIOS with iPXE in its ROM', aMachine('bios')],
    ['OVMF with its own PXE client', aMachine('uefi')],
    ['SeaBIOS with an e1000 card and an NVMe disk', aMachine('bios', { nic: 'e1000', disks: [{ bus: 'nvme', sizeMiB: 64, serial: 'NVME-1' }] })],
  ])('%s: becomes an accepted Server through our DHCP, TFTP and HTTP', async (_, options) => {
    await using network = await createNetwork();
    await using site = await startSite(network, { mode: 'full', range: ['10.77.0.50', '10.77.0.250'] });
    const server = await untilAccepted(site, network, options);
    expect(server.spec?.hardware).toEqual(itsFacts(options));
  });

  test.each(['bios', 'uefi'] as const)(
    '%s: becomes an accepted Server beside an address server that knows nothing of network boot',
    async (firmware) => {
      await using network = await createNetwork();
      await using other = await addressServer(await network.addHost('10.77.0.2'));
      await using site = await startSite(network, { mode: 'proxy' });
      const options = aMachine(firmware);
      const server = await untilAccepted(site, network, options);
      expect(server.spec?.hardware).toEqual(itsFacts(options));
      expect(other.lines.join('\n')).toContain('DHCPACK(br0)');
    },
  );
});
