import { messageOf } from '@sidero/core';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { failure } from '../errors.ts';
import { seededRandom } from '../random.ts';
import { runAgent } from './agent.ts';
import { type Inventory, inventory } from './hardware.ts';
import { downloadByHttp } from './http.ts';
import type { IpxeHost, IpxeOutcome } from './ipxe/command.ts';
import { runIpxe } from './ipxe/interpreter.ts';
import { ipv4Setting, macSetting, textSetting, uuidSetting } from './ipxe/settings.ts';
import { loadBootFile } from './firmware.ts';
import { type MachineState, type ObservableMachine, type StageName, StateLog, type Transfer } from './state.ts';

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
  /** The power fails in a transfer of this stage, once so many bytes have come. */
  readonly dies?: { readonly stage: 'tftp' | 'kernel' | 'initrd'; readonly afterBytes: number };
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
}

/** A machine that does on the wire what PXE firmware, iPXE and the agent do. Everything it decides comes from its seed. */
export class SimulatedMachine implements ObservableMachine {
  readonly inventory: Inventory;
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
  #power = new AbortController();

  constructor(options: MachineOptions) {
    this.#options = options;
    this.inventory = options.inventory ?? inventory(options.seed);
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

  get transfer(): Transfer | undefined {
    return this.#states.transfer;
  }

  onState(listener: (state: MachineState) => void): () => void {
    return this.#states.listen(listener);
  }

  /**
   * Switches the machine on; with our agent it stays on, and asks for work. Resolves when it went where nobody follows it: it boots
   * something else, hangs, or is off because its power failed.
   * @throws what stopped it (then its state is `failed`), or the reason of the signal
   */
  async run(signal: AbortSignal): Promise<void> {
    this.#power = new AbortController();
    const on = AbortSignal.any([signal, this.#power.signal]);
    try {
      await this.#boot(on);
    } catch (thrown) {
      if (this.#power.signal.aborted) return this.#states.enter('off', { detail: String(this.#power.signal.reason) });
      this.#states.enter(signal.aborted ? 'off' : 'failed', { detail: messageOf(thrown) });
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
    this.#power.abort(why);
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

  async #boot(on: AbortSignal): Promise<void> {
    for (;;) {
      await this.#loadFirmware(on);
      const outcome = await this.#ipxe(on);
      const isAgent = outcome.action === 'boot' && outcome.args.some((arg) => arg.startsWith('sidero.endpoint='));
      if (outcome.action !== 'reboot' && !isAgent) return this.#leave(outcome);
      if (outcome.action !== 'boot') continue;
      this.kernelArgs = outcome.args;
      // A machine whose agent hangs stays until it is switched off.
      if (this.#options.misbehaviour?.isMute) return this.#states.enter('agent', { detail: 'its agent hangs' });
      await this.#agent(on);
    }
  }

  /** Where the machine goes when it is not to run our agent. */
  #leave(outcome: IpxeOutcome): void {
    if (outcome.action === 'poweroff') return this.#states.enter('off', { detail: 'its boot script switched it off' });
    if (outcome.action === 'boot') {
      this.kernelArgs = outcome.args;
      return this.#states.enter('environment', { detail: outcome.kernel.pathname });
    }
    if (outcome.action === 'exit' && outcome.status !== 0)
      throw failure('SIDERO_MACHINE_IPXE_FAILED', { problem: this.console.at(-1) ?? `status ${outcome.status}` });
    // After iPXE exits, firmware goes on with the next device: the disk.
    this.#states.enter('disk');
  }

  async #loadFirmware(signal: AbortSignal): Promise<void> {
    const { plane, misbehaviour, hasIpxeRom = false } = this.#options;
    await loadBootFile({
      machine: this.name,
      uuid: this.uuid,
      mac: this.mac,
      inventory: this.inventory,
      hasIpxeRom,
      plane: { ...plane, host: plane.host ?? '127.0.0.1' },
      link: { address: this.address, loss: misbehaviour?.loss ?? 0, random: seededRandom('link', this.#options.seed) },
      states: this.#states,
      onAddress: (address) => {
        this.address = address;
      },
      onProgress: (file, receivedBytes, totalBytes) => this.#progress('tftp', { file, receivedBytes, totalBytes }),
      signal,
    });
  }

  async #ipxe(signal: AbortSignal): Promise<IpxeOutcome> {
    const { plane } = this.#options;
    const agent = new Agent({ connections: 1, connect: { localAddress: this.address }, headersTimeout: 30_000, bodyTimeout: 30_000 });
    try {
      const url = new URL(`http://${plane.host ?? '127.0.0.1'}:${plane.http}/boot.ipxe`);
      return await runIpxe(this.#ipxeHost(agent, signal), url);
    } finally {
      await agent.destroy();
    }
  }

  #ipxeHost(agent: Agent, signal: AbortSignal): IpxeHost {
    const { timeFactor = 1 } = this.#options;
    return {
      settings: this.#settings(),
      fetch: (url, use) => this.#fetch({ url, use, agent }, signal),
      configure: async (nic) => nic === 'net0',
      sleep: async (seconds) => {
        this.#states.enter('ipxe', { waitMs: seconds * 1000 * timeFactor, detail: this.console.at(-1) ?? '' });
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

  async #fetch(given: { url: URL; use: 'script' | 'kernel' | 'initrd'; agent: Agent }, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { url, use, agent } = given;
    const file = url.pathname;
    const stage = use === 'script' ? 'ipxe' : use;
    this.#states.enter(stage, { waitMs: 30_000, detail: file });
    const answer = await downloadByHttp(
      {
        url,
        agent,
        keep: use === 'script',
        bytesPerSecond: this.#options.bytesPerSecond,
        onProgress: (receivedBytes, totalBytes) => this.#progress(stage, { file, receivedBytes, totalBytes }),
      },
      signal,
    );
    if (answer.ok) return answer.bytes;
    this.console.push(`${url.href}: ${answer.problem}`);
    return undefined;
  }

  #progress(stage: StageName, transfer: Transfer): void {
    const dies = this.#options.misbehaviour?.dies;
    this.#states.transfer = transfer;
    if (dies?.stage === stage && transfer.receivedBytes >= dies.afterBytes) this.cutPower(`its power failed in the transfer of ${transfer.file}`);
  }

  async #agent(signal: AbortSignal): Promise<void> {
    this.#states.enter('agent', { waitMs: 30_000 });
    await runAgent({
      machine: this.name,
      inventory: this.inventory,
      uuid: this.uuid,
      args: this.kernelArgs,
      address: this.address,
      states: this.#states,
      random: seededRandom('agent', this.#options.seed),
      timeFactor: this.#options.timeFactor ?? 1,
      signal,
    });
  }
}
