import type { createLifecycle } from '../../../core/src/lifecycle/index.ts';
import { type ServerEvent, ServerBindingKind, ServerKind, type Wire } from '@sidero/core';
import type { Random } from '@sidero/testing';
import { type BootOverride, type Chassis, NO_OVERRIDE } from '@sidero/testing/bmc';
import type { MemoryApi } from './memory-resources.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface MachineWorld {
  readonly name: string;
  readonly api: MemoryApi;
  readonly time: VirtualTime;
  readonly random: Random;
  /** Of the process that answers now. */
  readonly lifecycle: () => Pick<ReturnType<typeof createLifecycle>, 'wipe' | 'wipeHanded' | 'wiping' | 'wiped' | 'wipeFailed'> | undefined;
  readonly seen: (event: ServerEvent) => void;
  /** Called when the first byte is written. */
  readonly onWrite: () => void;
}

/** How a machine's wipe ends, each a probability; the rest is success. */
export interface MachineFaults {
  wipeFails: number;
  wipeHangs: number;
  /** It does not get through a network boot. */
  bootHangs: number;
}

/** A machine: firmware that takes its time, an agent that asks and wipes, an operating system that says nothing. */
export class SimulatedChassis implements Chassis {
  readonly faults: MachineFaults = { wipeFails: 0, wipeHangs: 0, bootHangs: 0 };
  readonly #world: MachineWorld;
  /** Changes with each loss of power: what was going on before ends. */
  #life = 0;
  #isOn: boolean;
  #boots = 0;
  hasSystem = false;

  constructor(world: MachineWorld, { isOn }: { isOn: boolean }) {
    this.#world = world;
    this.#isOn = isOn;
    if (isOn) this.#start({ ...NO_OVERRIDE, device: 'network' });
  }

  isOn(): boolean {
    return this.#isOn;
  }

  powerOn(boot: BootOverride): void {
    this.#isOn = true;
    this.#start(boot);
  }

  powerOff(): void {
    this.#isOn = false;
    this.#life++;
  }

  #start(boot: BootOverride): void {
    const life = ++this.#life;
    const { time, random } = this.#world;
    time.after(random.between(5_000, 90_000), () => {
      if (life === this.#life && (boot.device === 'network' || !this.hasSystem)) void this.#networkBoot(life);
    });
  }

  async #networkBoot(life: number): Promise<void> {
    const { api, name, random } = this.#world;
    if (random.chance(this.faults.bootHangs)) return;
    this.#seen('dhcp');
    const ref = { name };
    if (api.get(ServerBindingKind, ref)) return void (this.hasSystem = true);
    const server = api.get(ServerKind, ref);
    if (!server) return;
    const id = `boot-${++this.#boots}`;
    const handedAt = this.#world.time.now().toISOString();
    api.change(ServerKind, ref, (draft) => void (draft.status = { ...draft.status, boot: { id, handedAt } }));
    this.#ask(life, id);
  }

  // As the agent does it: it asks, works if there is work, and asks again.
  #ask(life: number, id: string): void {
    void this.#turn(life, id)
      .catch(() => true)
      .then((goesOn) => {
        if (goesOn && life === this.#life) this.#world.time.after(25_000, () => this.#ask(life, id));
      });
  }

  async #turn(life: number, id: string): Promise<boolean> {
    const { api, lifecycle, name, random } = this.#world;
    const stages = lifecycle();
    if (life !== this.#life || !stages) return true;
    this.#seen('agent');
    const server = api.get(ServerKind, { name });
    if (!server?.spec?.accepted || server.status?.isClean) return true;
    const plan = await stages.wipe(server);
    if ('hold' in plan) return true;
    const pass = { uuid: name, bootId: id, proven: true };
    await stages.wipeHanded(pass, { plan, isByDisk: false });
    if ((await stages.wiping(pass, [])) || life !== this.#life) return true;
    this.#world.onWrite();
    if (random.chance(this.faults.wipeHangs)) return false;
    const fails = random.chance(this.faults.wipeFails);
    for (let left = random.between(10_000, 200_000); left > 0; left -= 20_000) {
      await this.#world.time.pause(Math.min(left, 20_000), new AbortController().signal);
      if (life !== this.#life) return false;
      this.#seen('agent');
      if (await lifecycle()?.wiping(pass, [])) return true;
    }
    if (fails) await lifecycle()?.wipeFailed(pass, { message: 'a disk cannot be written', disks: [] });
    else await this.#tellWiped(pass, life);
    return true;
  }

  async #tellWiped(pass: { uuid: string; bootId: string; proven: boolean }, life: number): Promise<void> {
    for (let tries = 0; tries < 20 && life === this.#life; tries++) {
      const stages = this.#world.lifecycle();
      const isTold = await stages?.wiped(pass, []).then(
        () => true,
        (thrown: Error & { code?: string }) => thrown.code === 'SIDERO_WIPE_NOT_HANDED',
      );
      if (isTold) return void (this.hasSystem = false);
      await this.#world.time.pause(5000, new AbortController().signal);
    }
  }

  #seen(wire: Wire): void {
    this.#world.seen({ type: 'seen', wire, uuid: this.#world.name, at: this.#world.time.now() });
  }
}
