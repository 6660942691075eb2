import type { PowerDriver } from '../registries.ts';
import type { Server } from '../resources/kinds.ts';
import { Device, type DevicePolicy } from './device.ts';

const FEW = 256;

/** The devices that drivers were asked for lately. They share nothing: a dead one delays nobody else. */
export class Devices {
  readonly #policy: DevicePolicy;
  readonly #byName = new Map<string, Device>();
  #sweepAt = FEW;

  constructor(policy: DevicePolicy) {
    this.#policy = policy;
  }

  of(driver: PowerDriver, server: Server): Device {
    const device = deviceNameOf(driver, server);
    const name = `${driver.name} ${device}`;
    const known = this.#byName.get(name);
    if (known) return known;
    this.#sweep();
    const added = new Device({ driver: driver.name, device }, this.#policy);
    this.#byName.set(name, added);
    return added;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byName.values()].map((device) => device.close()));
  }

  // Each time the number has doubled: servers come and go, and the process stays.
  #sweep(): void {
    if (this.#byName.size < this.#sweepAt) return;
    for (const [name, device] of this.#byName) if (device.isForgettable) this.#byName.delete(name);
    this.#sweepAt = Math.max(FEW, this.#byName.size * 2);
  }
}

/** The device that a driver talks to for a Server. */
export function deviceNameOf(driver: PowerDriver, server: Server): string {
  return driver.deviceOf?.(server) || server.metadata.name;
}
