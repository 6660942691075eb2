import type { PowerDriver } from '../registries.ts';
import type { Server } from '../resources/kinds.ts';
import { Device, type DevicePolicy } from './device.ts';

const SWEEP_MS = 10 * 60_000;

/** The devices that drivers were asked for lately. They share nothing: a dead one delays nobody else. */
export class Devices {
  readonly #policy: DevicePolicy;
  readonly #byName = new Map<string, Device>();
  #sweptMs: number;

  constructor(policy: DevicePolicy) {
    this.#policy = policy;
    this.#sweptMs = policy.clock.now().getTime();
  }

  of(driver: PowerDriver, server: Server): Device {
    this.#sweep();
    const device = deviceNameOf(driver, server);
    const name = `${driver.name} ${device}`;
    const known = this.#byName.get(name);
    if (known) return known;
    const added = new Device({ driver: driver.name, device }, this.#policy);
    this.#byName.set(name, added);
    return added;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byName.values()].map((device) => device.close()));
  }

  // Servers come and go, and the process stays.
  #sweep(): void {
    const nowMs = this.#policy.clock.now().getTime();
    if (nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    for (const [name, device] of this.#byName) {
      if (!device.isForgettable) continue;
      device.forget();
      this.#byName.delete(name);
    }
  }
}

/** The device that a driver talks to for a Server. */
export function deviceNameOf(driver: PowerDriver, server: Server): string {
  return driver.deviceOf?.(server) || server.metadata.name;
}
