import { Server, ServerCredentials, type ServerUnaryCall, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { Agent, type CreateServerRequest, type CreateServerResponse, serviceDefinition, StorageType } from '@sidero/plugin-agent/protocol';
import { type Child, thisHost } from '@sidero/testing/qemu';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AGENT_IMAGE } from './pxe-site.ts';

const uuid = '4c4c4544-0039-3010-8047-c4c04f4e4d32';
const [bootMac, otherMac] = ['52:54:00:12:34:56', '52:54:00:12:34:57'];
const hasQemu = spawnSync('qemu-system-x86_64', ['--version']).status === 0;

/** The calls of a machine, and what it is told at each registration. */
class Plane {
  readonly calls: { method: string; token: unknown; request: unknown }[] = [];
  readonly #server = new Server();
  #answer: Partial<CreateServerResponse> = {};

  async listen(): Promise<number> {
    const methods = Agent.methods.map(({ localName, output }) => {
      const method = ({ metadata, request }: ServerUnaryCall<unknown, unknown>, done: (error: null, answer: object) => void) => {
        this.calls.push({ method: localName, token: metadata.get('sidero-token')[0], request });
        done(null, { $typeName: output.typeName, ...(localName === 'createServer' ? this.#answer : {}) });
      };
      return [localName, method] as const;
    });
    this.#server.addService(serviceDefinition(Agent), Object.fromEntries(methods) as UntypedServiceImplementation);
    return new Promise((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port)));
    });
  }

  answer(answer: Partial<CreateServerResponse>): void {
    this.#answer = answer;
  }

  close(): void {
    this.#server.forceShutdown();
  }
}

/** A machine that is booted with our image at once, without firmware's help, on a network where 10.0.2.2 is this host. */
async function bootAgent(folder: string, port: number): Promise<Child> {
  const disk = async (name: string, device: string) => {
    await writeFile(join(folder, name), '');
    await truncate(join(folder, name), 64 * 1024 * 1024);
    return ['-drive', `if=none,id=${name},format=raw,file=${join(folder, name)}`, '-device', `${device},drive=${name}`];
  };
  const card = (id: string, given: { model: string; mac: string; net: string }) => {
    const netdev = `user,id=${id},net=${given.net}`;
    return ['-netdev', netdev, '-device', `${given.model},netdev=${id},mac=${given.mac},romfile=`];
  };
  // As the boot script gives them, with enforced signatures of modules.
  const args = ['module.sig_enforce=1', 'selinux=1', 'printk.devkmsg=on', 'console=tty0', 'console=ttyS0', 'panic=30'];
  const told = [`sidero.mac=${bootMac}`, `sidero.endpoint=10.0.2.2:${port}`, 'sidero.token=first'];
  const options = [
    ['-accel', 'tcg', '-cpu', 'max', '-machine', 'q35', '-m', '512', '-smp', '2,sockets=1,cores=2'],
    ['-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-uuid', uuid],
    ['-smbios', 'type=1,manufacturer=ACME,product=Rocket,version=v2,serial=SN1,sku=SKU1,family=Fast'],
    ['-smbios', 'type=2,manufacturer=ACME,product=Board,serial=B1'],
    ['-kernel', join(AGENT_IMAGE, 'vmlinuz'), '-initrd', join(AGENT_IMAGE, 'initramfs.xz'), '-append', [...args, ...told].join(' ')],
    card('boot', { model: 'virtio-net-pci', mac: bootMac, net: '10.0.2.0/24' }),
    card('other', { model: 'e1000e', mac: otherMac, net: '10.9.0.0/24' }),
    await disk('nvme', 'nvme,serial=NV123'),
    await disk('sata', 'ide-hd,serial=SATA9,wwn=0x5000c50015ea71ac'),
    await disk('virtio', 'virtio-blk-pci,serial=VIRT7'),
    ['-device', 'ipmi-bmc-sim,id=bmc', '-device', 'isa-ipmi-kcs,bmc=bmc'],
  ];
  return thisHost.start(['qemu-system-x86_64', ...options.flat()], { name: 'machine' });
}

describe.skipIf(!hasQemu || !existsSync(join(AGENT_IMAGE, 'initramfs.xz')))('the agent image on a machine with 512 MiB', () => {
  const plane = new Plane();
  let folder: string;
  let machine: Child;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sidero-agent-'));
    plane.answer({ token: 'second' });
    machine = await bootAgent(folder, await plane.listen());
  });

  afterAll(async () => {
    await machine?.stop();
    plane.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('registers with the facts of its firmware, processors, memory, disks, links and BMC', async () => {
    await machine.line(/\[sidero\] registered; waiting to be accepted/, { timeoutMs: 170_000 });
    const { request, token } = plane.calls[0]!;
    const { hardware, hostname, agentVersion } = request as CreateServerRequest;
    expect({ token, hostname, isOurs: agentVersion !== '' }).toEqual({ token: 'first', hostname: '', isOurs: true });
    expect(hardware?.system).toMatchObject({
      uuid,
      manufacturer: 'ACME',
      productName: 'Rocket',
      version: 'v2',
      serialNumber: 'SN1',
      skuNumber: 'SKU1',
      family: 'Fast',
    });
    expect(hardware?.baseboard).toMatchObject({ manufacturer: 'ACME', productName: 'Board', serialNumber: 'B1' });
    expect(hardware?.firmware).toMatchObject({ vendor: 'SeaBIOS', bootMode: 'bios' });
    expect(hardware?.compute).toMatchObject({ processorCount: 1, totalCoreCount: 2 });
    expect(hardware?.memory).toMatchObject({ totalSize: 512, moduleCount: 1 });
    const size = 64n * 1024n * 1024n;
    expect(hardware?.storage).toMatchObject({
      totalSize: 3n * size,
      devices: [
        { type: StorageType.NVMe, deviceName: '/dev/nvme0n1', serial: 'NV123', model: 'QEMU NVMe Ctrl', size },
        { deviceName: '/dev/sda', serial: 'SATA9', wwid: 'naa.5000c50015ea71ac', size },
        { deviceName: '/dev/vda', serial: 'VIRT7', size },
      ],
    });
    const boot = hardware?.network?.interfaces.find(({ mac }) => mac === bootMac);
    expect(boot).toMatchObject({ driver: 'virtio_net', carrier: true, mtu: 1500, addresses: expect.arrayContaining(['10.0.2.15/24']) });
    expect(hardware?.network?.interfaces.find(({ mac }) => mac === otherMac)).toMatchObject({ driver: 'e1000e' });
    expect(hardware?.bmc).toMatchObject({ present: true, ipmiVersion: '2.0' });
  });

  test('tells the address of the link that booted it first, with the token it was given', () => {
    const [told] = plane.calls.filter(({ method }) => method === 'reconcileServerAddresses');
    expect(told?.token).toBe('second');
    expect((told?.request as { address: unknown[] } | undefined)?.address[0]).toMatchObject({ type: 'InternalIP', address: '10.0.2.15' });
  });

  test('notices by itself that it was accepted, and restarts when there is something else to boot', async () => {
    plane.answer({ accepted: true, hold: 'the agent on the machine cannot wipe disks' });
    await machine.line(/\[sidero\] accepted, waiting; nothing is wiped/, { timeoutMs: 90_000 });
    plane.answer({ accepted: true, reboot: true });
    await machine.line(/reboot: Restarting system/, { timeoutMs: 90_000 });
    expect(await machine.exited).toBe('code 0');
    expect(machine.lines.filter((line) => /Kernel panic|Call Trace|Out of memory/.test(line))).toEqual([]);
  });
});
