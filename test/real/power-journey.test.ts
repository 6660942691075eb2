import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import {
  createLogger,
  createMetrics,
  createResourceClient,
  type Environment,
  EnvironmentKind,
  EventKind,
  type ResourceClient,
  type Server,
  ServerBindingKind,
  ServerKind,
} from '@sidero/core';
import { aBinding, anEnvironment } from '@sidero/testing';
import { ipmiSimSupport } from '@sidero/testing/bmc';
import {
  acceptWithBmc,
  createNetwork,
  diskFile,
  type Firmware,
  type MachineOptions,
  type Network,
  qemuSupport,
  type RackedMachine,
  rackMachine,
  SwitchedMachine,
} from '@sidero/testing/qemu';
import { describe, expect, test, vi } from 'vitest';
import { AGENT_IMAGE, type Site, startSite } from './pxe-site.ts';

const isPossible = qemuSupport().length === 0 && ipmiSimSupport().length === 0 && existsSync(AGENT_IMAGE);
const MIB = 1024 * 1024;
const SIZE_MIB = 64;
const BMC_PORT = 6230;
/** An emulated machine needs half a minute from power-on to the agent; hosts are busy. */
const PATIENCE_MS = 300_000;
const OLD_SYSTEM = 'the old system runs';

function aMachine(firmware: Firmware): MachineOptions {
  return {
    name: firmware,
    firmware,
    uuid: `4c4c4544-0044-4a10-8054-${firmware === 'bios' ? 'b0' : 'ef'}c0ffee0002`,
    mac: '52:54:00:77:00:01',
    serial: 'SN-4712',
    memoryMiB: 1024,
    disks: [{ bus: 'virtio', sizeMiB: SIZE_MIB, serial: 'DISK-0816', content: 'noise' }],
  };
}

/** A boot sector that a BIOS starts, and that says so on the serial port and then stands still. */
function bootSector(): Buffer {
  // mov si, text; mov dx, 0x3f8; lodsb; test al, al; jz $; out dx, al; jmp to lodsb
  const code = [0xbe, 0x10, 0x7c, 0xba, 0xf8, 0x03, 0xac, 0x84, 0xc0, 0x74, 0xfe, 0xee, 0xeb, 0xf8];
  const sector = Buffer.alloc(512);
  sector.set(code);
  sector.write(`${OLD_SYSTEM}\n\0`, 16);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

class Journey implements AsyncDisposable {
  readonly #network: Network;
  readonly #site: Site;
  readonly #client: ReturnType<typeof createResourceClient>;
  readonly machine: SwitchedMachine;
  readonly racked: RackedMachine;

  private constructor(network: Network, site: Site, racked: RackedMachine) {
    this.#network = network;
    this.#site = site;
    this.racked = racked;
    this.machine = racked.machine;
    const log = createLogger({ level: 'silent' });
    this.#client = createResourceClient({ kubeConfig: () => site.kubeConfig, log, metrics: createMetrics(), component: 'test' });
  }

  static async start(network: Network, options: MachineOptions): Promise<Journey> {
    const dhcp = { mode: 'full', range: ['10.77.0.50', '10.77.0.250'] };
    const site = await startSite(network, dhcp, { autoAccept: false, plugins: { ipmi: {} } });
    const racked = await rackMachine(network, new SwitchedMachine(network, options), BMC_PORT);
    return new Journey(network, site, racked);
  }

  get resources(): ResourceClient {
    return this.#client;
  }

  get #uuid(): string {
    return this.machine.options.uuid;
  }

  /** What a person does who has another program for BMCs. */
  ipmitool(...command: string[]): Promise<string> {
    const { endpoint, port, user, pass } = this.racked.access;
    return this.#network.run(['ipmitool', '-I', 'lanplus', '-C', '3', '-H', endpoint, '-p', String(port), '-U', user, '-P', pass, ...command]);
  }

  /** Waits until the Server is as `look` says; on failure the error shows both ends. */
  async until(what: string, look: (server: Server | undefined) => void): Promise<void> {
    try {
      await vi.waitFor(async () => look(await this.#client.get(ServerKind, { name: this.#uuid }, { live: true })), {
        timeout: PATIENCE_MS,
        interval: 500,
      });
    } catch (cause) {
      const { lines } = this.#site.plane;
      const ends = [this.machine.lines, lines].map((end) => `---\n${end.slice(-30).join('\n')}`);
      throw new Error(`not ${what}:\n${ends.join('\n')}`, { cause });
    }
  }

  /** The Server is to boot an Environment when it works: a kernel that shows its arguments. The management plane fetches it from itself. */
  async installer(): Promise<void> {
    const url = (file: string) => ({ url: `http://10.77.0.1:8081/env/agent-amd64/${file}` });
    const spec = { kernel: { ...url('vmlinuz'), args: ['console=ttyS0', 'stand-in-of-an-installer'] }, initrd: url('initramfs.xz') };
    await this.#client.create<Environment>(EnvironmentKind, anEnvironment({ metadata: { name: 'installer' }, spec }));
    await vi.waitFor(
      async () => {
        const environment = await this.#client.get(EnvironmentKind, { name: 'installer' }, { live: true });
        expect(environment?.status?.conditions).toMatchObject([{ status: 'True' }, { status: 'True' }]);
      },
      { timeout: 60_000, interval: 500 },
    );
    await this.#client.change<Server>(ServerKind, { name: this.#uuid }, (draft) => {
      draft.spec!.environmentRef = { name: 'installer' };
    });
  }

  disk(): Promise<Buffer> {
    return readFile(this.#diskFile());
  }

  /** Only while the machine is off. */
  async writeDisk(content: Buffer): Promise<void> {
    await writeFile(this.#diskFile(), content);
  }

  /** The Server's Events say this, and nothing else, the last one last. What happened twice counts where it happened last. */
  async tells(patterns: readonly RegExp[]): Promise<void> {
    const look = async () => {
      const events = await this.#client.list(EventKind, {}, { live: true });
      const texts = events
        .filter(({ involvedObject }) => involvedObject.name === this.#uuid)
        .toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
        // How long it took is not told.
        .map(({ reason, message }) => `${reason}: ${message?.replace(/( Driver \w+): .*/, '$1')}`);
      expect(texts.filter((text, index) => texts.lastIndexOf(text) === index)).toEqual(
        patterns.map((pattern) => expect.stringMatching(pattern) as string),
      );
    };
    await vi.waitFor(look, { timeout: 30_000, interval: 500 });
  }

  #diskFile(): string {
    return diskFile(this.#network, { name: this.machine.options.name, index: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
    await this.racked[Symbol.asyncDispose]();
    await this.#site[Symbol.asyncDispose]();
  }
}

const isEmpty = (bytes: Buffer) => bytes.equals(Buffer.alloc(bytes.length));

describe.skipIf(!isPossible)('a machine with real firmware behind a real BMC', () => {
  test.each(['bios', 'uefi'] as const)(
    '%s: is discovered, accepted, wiped and off; at work it boots an Environment; released it is wiped again',
    async (firmware) => {
      await using network = await createNetwork();
      await using journey = await Journey.start(network, aMachine(firmware));
      const { machine, resources } = journey;
      const { uuid } = machine.options;

      await journey.ipmitool('chassis', 'power', 'on');
      await journey.until('discovered', (server) => expect(server?.spec).toMatchObject({ accepted: false }));
      expect(isEmpty((await journey.disk()).subarray(0, MIB))).toBe(false);

      await acceptWithBmc(resources, uuid, journey.racked.access);
      await journey.until('wiped and off', (server) => expect(server?.status).toMatchObject({ isClean: true, power: 'off' }));
      expect(machine.isOn()).toBe(false);
      expect(isEmpty(await journey.disk())).toBe(true);
      await journey.tells([/^Server Registration: /, /^Server Wipe: Server wiped/, /: Server powered off\. Driver ipmi$/]);

      // What is installed on it: a BIOS would start it, were the machine not told to boot from the network.
      const installed = Buffer.concat([bootSector(), randomBytes(SIZE_MIB * MIB - 512)]);
      await journey.writeDisk(installed);
      await journey.installer();
      await resources.create(ServerBindingKind, aBinding({ metadata: { name: uuid } }));
      await journey.until('at work', (server) => {
        expect(server?.status).toMatchObject({ inUse: true, power: 'on', isClean: false });
        expect(machine.lines.join('\n')).toMatch(/Command line: .*stand-in-of-an-installer/);
      });
      expect(machine.starts.at(-1)).toBe('network');
      expect((await journey.disk()).equals(installed)).toBe(true);

      const starts = machine.starts.length;
      await resources.remove(ServerBindingKind, { name: uuid });
      await journey.until('wiped and off again', (server) => {
        expect(server?.status).toMatchObject({ isClean: true, power: 'off', inUse: false });
        expect(machine.starts.length).toBeGreaterThan(starts);
      });
      expect(machine.isOn()).toBe(false);
      expect(isEmpty(await journey.disk())).toBe(true);
      expect(machine.lines.join('\n')).not.toContain(OLD_SYSTEM);
      await journey.tells([
        /^Server Registration: /,
        /: Server powered on and set PXE boot once .* Driver ipmi$/,
        /: Server marked as unallocated/,
        /: Server power cycled and set to PXE boot once\. Driver ipmi$/,
        /^Server Wipe: Server wiped/,
        /: Server powered off\. Driver ipmi$/,
      ]);
    },
    4 * PATIENCE_MS,
  );
});
