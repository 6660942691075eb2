import type { NetworkBootMode } from '@sidero/core';

/** What a BMC can be told to boot from; `normal` is the machine's own order. */
export type BootDevice = 'normal' | 'network' | 'disk' | 'cd' | 'setup';

/** What a BMC was told about the next boot. */
export interface BootOverride {
  readonly device: BootDevice;
  /** Undefined when the BMC was not told, or cannot keep it. */
  readonly mode?: NetworkBootMode | undefined;
  /** Holds until it is changed, not only for the next boot. */
  readonly isPersistent: boolean;
}

/** Nothing was ordered. */
export const NO_OVERRIDE: BootOverride = { device: 'normal', isPersistent: false };

/** A machine as its BMC sees it. One method is called at a time; each does nothing when the machine is like that already. */
export interface Chassis {
  /** The truth, also while a method is under way. */
  isOn(): boolean;
  powerOn(boot: BootOverride): Promise<void> | void;
  /** Hard, at once. */
  powerOff(): Promise<void> | void;
  /** Asks the operating system to shut down. Default: `powerOff`. */
  softOff?(): Promise<void> | void;
}

/** A machine that only remembers. */
export class MemoryChassis implements Chassis {
  /** What it booted, oldest first. */
  readonly boots: BootOverride[] = [];
  #isOn: boolean;

  constructor({ isOn = false }: { isOn?: boolean } = {}) {
    this.#isOn = isOn;
  }

  isOn(): boolean {
    return this.#isOn;
  }

  powerOn(boot: BootOverride): void {
    this.#isOn = true;
    this.boots.push(boot);
  }

  powerOff(): void {
    this.#isOn = false;
  }
}

export type PowerAction = 'on' | 'off' | 'cycle' | 'soft';

/** The part of a BMC that holds the power switch and the boot override of one machine. Works off one action after the other. */
export class ChassisControl {
  override: BootOverride = NO_OVERRIDE;
  /** What was done, oldest first; "cycle" counts as that. */
  readonly actions: PowerAction[] = [];
  readonly #chassis: Chassis;
  #last: Promise<unknown> | undefined;

  constructor(chassis: Chassis) {
    this.#chassis = chassis;
  }

  isOn(): boolean {
    return this.#chassis.isOn();
  }

  /** Begins at once when nothing else is under way; settles when the machine has done it. What the machine throws is thrown. */
  power(action: PowerAction): Promise<void> {
    this.actions.push(action);
    const done = this.#last ? this.#last.then(() => this.#do(action)) : this.#do(action);
    // What went wrong is told to whom asked for that action, not to the next one.
    const last = done
      .catch(() => undefined)
      .then(() => {
        if (this.#last === last) this.#last = undefined;
      });
    this.#last = last;
    return done;
  }

  async #do(action: PowerAction): Promise<void> {
    if (action === 'soft' && this.#chassis.softOff) return await this.#chassis.softOff();
    if (action !== 'on') await this.#chassis.powerOff();
    if (action !== 'on' && action !== 'cycle') return;
    if (this.#chassis.isOn()) return;
    const boot = this.override;
    if (!boot.isPersistent) this.override = NO_OVERRIDE;
    await this.#chassis.powerOn(boot);
  }
}
