import type { BootOverride, Chassis } from '../bmc/chassis.ts';
import { type Machine, type MachineOptions, startMachine } from './machine.ts';
import type { Network } from './network.ts';

/** What a power button does to a machine that nobody told otherwise: what is on its disks comes first. */
type Order = NonNullable<MachineOptions['bootFrom']>;

/**
 * A QEMU machine with a power button, off at first. Its disks stay what they are while it is off. Left to itself it boots what is on them, and
 * from the network when that is nothing; a BMC in front of it can order otherwise. A reboot by the guest keeps the order of that power-on.
 */
export class SwitchedMachine implements Chassis, AsyncDisposable {
  readonly options: MachineOptions;
  /** From what it was told to boot, each time it was switched on. */
  readonly starts: Order[] = [];
  readonly #network: Network;
  readonly #earlierLines: string[] = [];
  readonly #onPower: (isOn: boolean) => void;
  #tap: Promise<string> | undefined;
  #machine: Machine | undefined;

  /** @param onPower told whenever it goes on or off, also by itself */
  constructor(network: Network, options: MachineOptions, onPower: (isOn: boolean) => void = () => undefined) {
    this.#network = network;
    this.options = options;
    this.#onPower = onPower;
  }

  /** What it wrote on its serial port, over all the times it was on. */
  get lines(): readonly string[] {
    return [...this.#earlierLines, ...(this.#machine?.lines ?? [])];
  }

  isOn(): boolean {
    return this.#machine !== undefined;
  }

  async powerOn(boot?: BootOverride): Promise<void> {
    if (this.#machine) return;
    const bootFrom: Order = boot?.device === 'network' ? 'network' : 'disk';
    this.starts.push(bootFrom);
    this.#tap ??= this.#network.addTap();
    const machine = await startMachine(this.#network, { ...this.options, tap: await this.#tap, bootFrom });
    this.#machine = machine;
    this.#onPower(true);
    // A guest that switches itself off is off.
    void machine.exited.then(() => this.#gone(machine));
  }

  async powerOff(): Promise<void> {
    const machine = this.#machine;
    await machine?.stop(0);
    if (machine) this.#gone(machine);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.powerOff();
  }

  #gone(machine: Machine): void {
    if (this.#machine !== machine) return;
    this.#earlierLines.push(...machine.lines);
    this.#machine = undefined;
    this.#onPower(false);
  }
}
