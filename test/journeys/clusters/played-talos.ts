import { setTimeout as delay } from 'node:timers/promises';
import { isTrue, markTrue, type ResourceClient, ServerBindingKind } from '@sidero/core';
import type { MachineState, SimulatedMachine } from '@sidero/testing';
import { Agent, request } from 'undici';
import type { Breaches, Watched } from './breaches.ts';

const RETRY_MS = 100;
const TOLD = ['TalosConfigLoaded', 'TalosConfigValidated', 'TalosInstalled'];

/** What Talos is played with. */
export interface Stage {
  /** The API, on a wire that is never cut. */
  readonly truth: ResourceClient;
  readonly breaches: Breaches;
}

/** The configuration of a MetalMachine, as short as can be; its token says whose it is. */
export const configOf = (uid: string) => `version: v1alpha1\nmachine:\n  type: worker\n  token: ${uid}\n`;
const ownerIn = (config: string) => /^ +token: "?([^"\s]+)/m.exec(config)?.[1];

/**
 * Talos on a simulated machine, as far as a management plane notices it: it fetches its configuration as its kernel was told, installs itself,
 * says so, and from then on runs from disk.
 */
export class PlayedTalos implements Watched {
  readonly #machine: SimulatedMachine;
  readonly #stage: Stage;
  readonly #wire: Agent;
  #disk: string | undefined;
  #runs: string | undefined;
  #power = new AbortController();

  constructor(machine: SimulatedMachine, stage: Stage) {
    this.#machine = machine;
    this.#stage = stage;
    this.#wire = new Agent({ connections: 1 });
    machine.onState((state) => this.#follow(state));
  }

  get uuid(): string {
    return this.#machine.uuid;
  }

  get disk(): string | undefined {
    return this.#disk;
  }

  get runs(): string | undefined {
    return this.#runs;
  }

  get isInAgent(): boolean {
    const { stage } = this.#machine.state;
    return stage !== 'environment' && stage !== 'disk';
  }

  /** The machine itself. */
  get machine(): SimulatedMachine {
    return this.#machine;
  }

  /** Asks for the configuration of another machine, with the token of this one. */
  async steal(from: PlayedTalos): Promise<void> {
    const own = configUrl(this.#machine);
    if (!own) return;
    own.searchParams.set('uuid', from.uuid);
    const answer = await this.#get(own).catch(() => undefined);
    if (answer?.status === 200) this.#stage.breaches.blame(`${this.uuid} got the configuration of ${from.uuid} with its own token`);
  }

  async close(): Promise<void> {
    this.#power.abort();
    this.#machine.cutPower('the test is over');
    await this.#wire.destroy();
  }

  #follow({ stage }: MachineState): void {
    if (stage === 'environment') return this.#boot(() => this.#install());
    if (stage === 'disk') return this.#boot(() => this.#goOn());
    this.#power.abort();
    this.#runs = undefined;
    if (stage === 'wiping') this.#wipe();
    if (stage === 'failed') this.#boot(() => this.#tryAgain());
  }

  #boot(run: () => Promise<void>): void {
    this.#power.abort();
    this.#power = new AbortController();
    this.#runs = undefined;
    // Its power went, or the test is over.
    run().catch(() => undefined);
  }

  #wipe(): void {
    this.#stage.breaches.wiped(this);
    this.#disk = undefined;
  }

  // Firmware begins again where there is nothing to boot.
  async #tryAgain(): Promise<void> {
    await delay(RETRY_MS, undefined, { signal: this.#power.signal });
    this.#machine.cutPower('its firmware tries again');
    this.#machine.powerOn({ device: 'network', isPersistent: false });
  }

  async #install(): Promise<void> {
    const { signal } = this.#power;
    const { breaches } = this.#stage;
    // It is not installed yet, whatever the machine says of its disks.
    this.#machine.disks[0]!.content = this.#disk === undefined ? 'data' : 'system';
    const url = configUrl(this.#machine);
    if (!url) return breaches.blame(`${this.uuid} was told to boot an Environment without talos.config=`);
    url.searchParams.set('uuid', this.uuid);
    breaches.tokenGiven(this.uuid, url.searchParams.get('token') ?? '');
    const owner = await this.#fetchConfig(url, signal);
    signal.throwIfAborted();
    this.#machine.disks[0]!.content = 'system';
    [this.#disk, this.#runs] = [owner, owner];
    await this.#tell(owner, signal);
  }

  async #goOn(): Promise<void> {
    this.#runs = this.#disk;
    if (this.#disk !== undefined) await this.#tell(this.#disk, this.#power.signal);
  }

  async #fetchConfig(url: URL, signal: AbortSignal): Promise<string> {
    for (;;) {
      const before = this.#stage.breaches.binding(this.uuid);
      const answer = await this.#get(url).catch(() => undefined);
      signal.throwIfAborted();
      const owner = answer?.status === 200 ? ownerIn(answer.text) : undefined;
      if (owner !== undefined) {
        this.#stage.breaches.configGiven(this, owner, before);
        return owner;
      }
      await delay(RETRY_MS, undefined, { signal });
    }
  }

  async #get(url: URL): Promise<{ status: number; text: string }> {
    const { statusCode: status, body } = await request(url, { dispatcher: this.#wire, headersTimeout: 5000, bodyTimeout: 5000 });
    return { status, text: await body.text() };
  }

  // As over SideroLink, on which it says it again after every boot.
  async #tell(owner: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      const isTold = await this.#told(owner).catch(() => true);
      signal.throwIfAborted();
      if (isTold) return;
      await delay(RETRY_MS, undefined, { signal });
    }
  }

  async #told(owner: string): Promise<boolean> {
    const { truth } = this.#stage;
    const binding = await truth.get(ServerBindingKind, { name: this.uuid }, { live: true });
    if (binding?.spec?.metalMachineRef.uid !== owner) return false;
    if (TOLD.every((type) => isTrue(binding.status?.conditions, type))) return true;
    await truth.change(ServerBindingKind, { name: this.uuid }, (draft) => {
      if (draft.spec?.metalMachineRef.uid !== owner) return false;
      for (const type of TOLD) draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, type, new Date()) };
    });
    return true;
  }
}

function configUrl({ kernelArgs }: SimulatedMachine): URL | undefined {
  const url = kernelArgs.find((argument) => argument.startsWith('talos.config='))?.slice('talos.config='.length);
  return url === undefined ? undefined : new URL(url);
}
