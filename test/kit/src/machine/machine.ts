import { messageOf } from '@sidero/core';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { failure } from '../errors.ts';
import { seededRandom } from '../random.ts';
import { type BootOverride, type Chassis, NO_OVERRIDE } from '../bmc/chassis.ts';
import { type AgentKind, runAgent } from './agent.ts';
import { type DiskFault, SimulatedDisk } from './disk.ts';
import { type Inventory, inventory } from './hardware.ts';
import { downloadByHttp } from './http.ts';
import type { IpxeHost, IpxeOutcome } from './ipxe/command.ts';
import { runIpxe } from './ipxe/interpreter.ts';
import { ipv4Setting, macSetting, textSetting, uuidSetting } from './ipxe/settings.ts';
import { loadBootFile } from './firmware.ts';
import { type InstalledTalos, runTalos } from '../talos/talos.ts';
import { type MachineState, type ObservableMachine, type StageName, type Progress, StateLog, type States, whilePowered } from './state.ts';

/** The management plane as a machine finds it. */
export interface Plane {
  /** Address of all its ports. Default 127.0.0.1. */
  readonly host?: string;
  /** TCP port of HTTP and gRPC. */
  readonly http: number;
  /** UDP port of TFTP. */
  readonly tftp: number;
  /** UDP port of DHCP; without it the machine knows its boot file, as if another DHCP server had told. */
  readonly dhcp?: number;
}

/** What is wrong with a machine. */
export interface Misbehaviour {
  /** SMBIOS UUID the firmware and the agent tell instead of the machine's own. */
  readonly uuid?: string;
  /** Share of UDP datagrams lost in each direction, 0 to 1. */
  readonly loss?: number;
  /** The power fails in this stage, the first time, once so many bytes have come, or are wiped. */
  readonly dies?: { readonly stage: 'tftp' | 'kernel' | 'initrd' | 'wiping'; readonly afterBytes: number };
  /** What is wrong with a disk of it. */
  readonly disk?: { readonly index: number; readonly fault: DiskFault };
  /** The agent never calls. */
  readonly isMute?: boolean;
}

export interface MachineOptions {
  readonly plane: Plane;
  /** What makes this machine itself; the same seed is the same machine. */
  readonly seed: string;
  /** Default: `inventory(seed)`. */
  readonly inventory?: Inventory;
  /** For messages and displays. Default: the first eight digits of the UUID. */
  readonly name?: string;
  /** Address it sends from; Linux has all of 127.0.0.0/8. Default 127.0.0.1. */
  readonly address?: string;
  /** Its network card has iPXE in its ROM, so it needs no boot file. Default false. */
  readonly hasIpxeRom?: boolean;
  readonly misbehaviour?: Misbehaviour;
  /** Multiplies every pause the machine makes, from `sleep` in scripts to the agent's polling. Default 1. */
  readonly timeFactor?: number;
  /** Speed of its link for downloads over HTTP. Default: unlimited. */
  readonly bytesPerSecond?: number;
  /** The agent that it boots. Default ours. */
  readonly agent?: AgentKind;
  /** What it boots from an Environment is Talos, which installs itself, joins SideroLink and runs. Default: something that is not followed. */
  readonly isTalos?: boolean;
  /** How fast each of its disks is wiped, by any method. Default 1 TB/s, about what discarding takes. */
  readonly wipeBytesPerSecond?: number;
}

const WIPE_BYTES_PER_SECOND = 1e12;

/** A download by iPXE. */
interface Fetch {
  readonly url: URL;
  readonly use: 'script' | 'kernel' | 'initrd';
  readonly agent: Agent;
  readonly states: States;
}

/**
 * A machine that does on the wire what PXE firmware, iPXE and the agent do, and that a BMC can switch. Left to itself it boots the system on its
 * disk, and from the network when there is none. Everything it decides comes from its seed.
 */
export class SimulatedMachine implements ObservableMachine, Chassis {
  readonly inventory: Inventory;
  /** In the order of the inventory. */
  readonly disks: readonly SimulatedDisk[];
  readonly name: string;
  /** The UUID it tells, in lower case. */
  readonly uuid: string;
  /** MAC address it boots from. */
  readonly mac: string;
  /** Address it sends from; DHCP changes it. */
  address: string;
  /** What iPXE printed. */
  readonly console: string[] = [];
  /** Arguments of the kernel it booted last. */
  kernelArgs: readonly string[] = [];
  readonly #options: MachineOptions;
  readonly #states = new StateLog();
  /** Aborts when the power goes; undefined while the machine is off. */
  #power: AbortController | undefined;
  #hasDied = false;
  /** What is on its first disk, as long as that is a system. */
  #talos: InstalledTalos | undefined;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.inventory = options.inventory ?? inventory(options.seed);
    const { disk: bad } = options.misbehaviour ?? {};
    this.disks = this.inventory.disks.map((facts, index) => new SimulatedDisk(facts, bad?.index === index ? bad.fault : undefined));
    this.uuid = (options.misbehaviour?.uuid ?? this.inventory.system.uuid).toLowerCase();
    this.mac = this.inventory.interfaces[0]!.mac;
    this.address = options.address ?? '127.0.0.1';
    this.name = options.name ?? this.uuid.slice(0, 8);
  }

  get state(): MachineState {
    return this.#states.state;
  }

  get history(): readonly MachineState[] {
    return this.#states.history;
  }

  get progress(): Progress | undefined {
    return this.#states.progress;
  }

  onState(listener: (state: MachineState) => void): () => void {
    return this.#states.listen(listener);
  }

  /**
   * Switches the machine on; with our agent it stays on, and asks for work. Resolves when it went where nobody follows it: it boots
   * something else, hangs, or is off because its power went. Also off is a machine that `signal` ends.
   * @throws what stopped it (then its state is `failed`), or the reason of the signal
   */
  async run(signal: AbortSignal, boot: BootOverride = NO_OVERRIDE): Promise<void> {
    const power = new AbortController();
    this.#power?.abort('it was switched on again');
    this.#power = power;
    const on = AbortSignal.any([signal, power.signal]);
    try {
      await this.#boot(on, boot);
    } catch (thrown) {
      if (power.signal.aborted) return;
      if (signal.aborted) this.cutPower('the run is over');
      else this.#states.enter('failed', { detail: messageOf(thrown) });
      throw thrown;
    }
  }

  /** Switches the machine on and leaves it running. Resolves when it is in `stage`. @throws when it failed, or the reason of the signal */
  async bootTo(stage: StageName, signal: AbortSignal = new AbortController().signal): Promise<void> {
    // What stops the run shows in the state, which is what `reached` looks at.
    this.run(signal).catch(() => undefined);
    await this.reached(stage, signal);
  }

  /** Cuts the power: nothing is said to anybody. */
  cutPower(why = 'its power was cut'): void {
    if (!this.#power) return;
    this.#power.abort(why);
    this.#power = undefined;
    this.#states.enter('off', { detail: why });
  }

  isOn(): boolean {
    return this.#power !== undefined;
  }

  /** Presses its power button, or lets its BMC do so: it stays on until its power is cut. What becomes of it shows in its state. */
  powerOn(boot?: BootOverride): void {
    if (!this.isOn()) this.run(new AbortController().signal, boot).catch(() => undefined);
  }

  powerOff(): void {
    this.cutPower('it was switched off');
  }

  /** Resolves once the machine is, or was, in `stage`. @throws when it failed, or the reason of the signal */
  async reached(stage: StageName, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => {
      if (this.history.some((state) => state.stage === stage)) resolve();
      else if (this.state.stage === 'failed')
        reject(failure('SIDERO_MACHINE_BOOT_FAILED', { machine: this.name, problem: this.state.detail ?? 'unknown' }));
    };
    const stop = this.onState(look);
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    look();
    await promise.finally(() => {
      stop();
      signal.removeEventListener('abort', abort);
    });
  }

  async #boot(on: AbortSignal, override: BootOverride): Promise<void> {
    const states = whilePowered(this.#states, on);
    for (let boot = override; ; boot = NO_OVERRIDE) {
      if (boot.device !== 'network' && this.disks.some(({ content }) => content === 'system')) return await this.#bootDisk(states, on);
      await this.#loadFirmware(states, on);
      const outcome = await this.#ipxe(states, on);
      const isAgent = outcome.action === 'boot' && outcome.args.some((arg) => arg.startsWith('sidero.endpoint='));
      const isTalos = this.#options.isTalos === true && outcome.action === 'boot' && !isAgent;
      if (outcome.action !== 'reboot' && !isAgent && !isTalos) return await this.#leave(outcome, states, on);
      if (outcome.action !== 'boot') continue;
      this.kernelArgs = outcome.args;
      if (isTalos) {
        await this.#installTalos(states, on);
        continue;
      }
      // A machine whose agent hangs stays until it is switched off.
      if (this.#options.misbehaviour?.isMute) return states.enter('agent', { detail: 'its agent hangs' });
      await this.#agent(states, on);
    }
  }

  /** Where the machine goes when it is not to run our agent. */
  async #leave(outcome: IpxeOutcome, states: States, on: AbortSignal): Promise<void> {
    if (outcome.action === 'poweroff') return this.cutPower('its boot script switched it off');
    if (outcome.action === 'boot') {
      this.kernelArgs = outcome.args;
      this.#hasInstalled();
      return states.enter('environment', { detail: outcome.kernel.pathname });
    }
    if (outcome.action === 'exit' && !this.#goesOn(outcome.status))
      throw failure('SIDERO_MACHINE_IPXE_FAILED', { problem: this.console.at(-1) ?? `status ${outcome.status}` });
    // After iPXE exits, firmware goes on with the next device: the disk.
    await this.#bootDisk(states, on);
  }

  /** Whether firmware goes on after iPXE ended: a BIOS unless it failed; UEFI only after an error, else it opens its setup screen and waits. */
  #goesOn(status: number): boolean {
    if (this.inventory.firmware === 'bios') return status === 0;
    return status !== 0 && this.disks.some(({ content }) => content === 'system');
  }

  /** What is booted over the network installs itself, as Talos does. */
  #hasInstalled(): void {
    for (const [index, disk] of this.disks.entries()) disk.content = index === 0 ? 'system' : 'data';
  }

  async #installTalos(states: States, on: AbortSignal): Promise<void> {
    const installed = await runTalos(this.#talosRun(states, on, undefined));
    on.throwIfAborted();
    this.#hasInstalled();
    this.#talos = installed;
  }

  async #bootDisk(states: States, on: AbortSignal): Promise<void> {
    if (this.disks[0]?.content !== 'system') this.#talos = undefined;
    if (this.#talos) await runTalos(this.#talosRun(states, on, this.#talos));
    else states.enter('disk');
  }

  #talosRun(states: States, signal: AbortSignal, installed: InstalledTalos | undefined): Parameters<typeof runTalos>[0] {
    const { timeFactor = 1 } = this.#options;
    const args = installed ? [] : this.kernelArgs;
    return { uuid: this.uuid, name: this.name, args, installed, address: this.address, states, timeFactor, signal };
  }

  async #loadFirmware(states: States, signal: AbortSignal): Promise<void> {
    const { plane, misbehaviour, hasIpxeRom = false } = this.#options;
    await loadBootFile({
      machine: this.name,
      uuid: this.uuid,
      mac: this.mac,
      inventory: this.inventory,
      hasIpxeRom,
      plane: { ...plane, host: plane.host ?? '127.0.0.1' },
      link: { address: this.address, loss: misbehaviour?.loss ?? 0, random: seededRandom('link', this.#options.seed) },
      states,
      onAddress: (address) => {
        this.address = address;
      },
      onProgress: (subject, doneBytes, totalBytes) => this.#progress(states, { subject, doneBytes, totalBytes }),
      signal,
    });
  }

  async #ipxe(states: States, signal: AbortSignal): Promise<IpxeOutcome> {
    const { plane } = this.#options;
    // From the host's own address, as the agent's calls come: grpc-js knows no other, and a boot belongs to one address.
    const agent = new Agent({ connections: 1, headersTimeout: 30_000, bodyTimeout: 30_000 });
    try {
      const url = new URL(`http://${plane.host ?? '127.0.0.1'}:${plane.http}/boot.ipxe`);
      return await runIpxe(this.#ipxeHost({ agent, states }, signal), url);
    } finally {
      await agent.destroy();
    }
  }

  #ipxeHost({ agent, states }: { agent: Agent; states: States }, signal: AbortSignal): IpxeHost {
    const { timeFactor = 1 } = this.#options;
    return {
      settings: this.#settings(),
      fetch: (url, use) => this.#fetch({ url, use, agent, states }, signal),
      configure: async (nic) => nic === 'net0',
      sleep: async (seconds) => {
        states.enter('ipxe', { waitMs: seconds * 1000 * timeFactor, detail: this.console.at(-1) ?? '' });
        await delay(seconds * 1000 * timeFactor, undefined, { signal });
      },
      print: (text) => void this.console.push(text),
      signal,
    };
  }

  #settings(): IpxeHost['settings'] {
    const { system, interfaces, firmware, arch } = this.inventory;
    const nics = interfaces.map(({ mac }, index) => [`net${index}/mac`, macSetting(mac)] as const);
    return {
      ...Object.fromEntries(nics),
      mac: macSetting(this.mac),
      uuid: uuidSetting(this.uuid),
      serial: textSetting(system.serialNumber),
      manufacturer: textSetting(system.manufacturer),
      product: textSetting(system.productName),
      buildarch: textSetting(arch === 'arm64' ? 'arm64' : 'x86_64'),
      platform: textSetting(firmware === 'uefi' ? 'efi' : 'pcbios'),
      ip: ipv4Setting(this.address),
      'net0/ip': ipv4Setting(this.address),
    };
  }

  async #fetch(given: Fetch, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { url, use, agent, states } = given;
    const subject = url.pathname;
    states.enter(use === 'script' ? 'ipxe' : use, { waitMs: 30_000, detail: subject });
    const answer = await downloadByHttp(
      {
        url,
        agent,
        keep: use === 'script',
        bytesPerSecond: this.#options.bytesPerSecond,
        onProgress: (doneBytes, totalBytes) => this.#progress(states, { subject, doneBytes, totalBytes }),
      },
      signal,
    );
    if (answer.ok) return answer.bytes;
    this.console.push(`${url.href}: ${answer.problem}`);
    return undefined;
  }

  #progress(states: States, progress: Progress): void {
    const dies = this.#options.misbehaviour?.dies;
    states.progress = progress;
    if (this.#hasDied || dies?.stage !== states.state.stage || progress.doneBytes < dies.afterBytes) return;
    this.#hasDied = true;
    this.cutPower(`its power failed at ${progress.subject}`);
  }

  async #agent(states: States, signal: AbortSignal): Promise<void> {
    states.enter('agent', { waitMs: 30_000 });
    const { agent = 'ours', seed, timeFactor = 1, wipeBytesPerSecond = WIPE_BYTES_PER_SECOND } = this.#options;
    await runAgent({
      machine: this.name,
      inventory: this.inventory,
      uuid: this.uuid,
      args: this.kernelArgs,
      address: this.address,
      kind: agent,
      disks: this.disks,
      wipeBytesPerSecond,
      onWipeProgress: (doneBytes, totalBytes) => this.#progress(states, { subject: `${this.disks.length} disks`, doneBytes, totalBytes }),
      states,
      random: seededRandom('agent', seed),
      timeFactor,
      signal,
    });
  }
}
