import { failure } from '../errors.ts';
import type { PowerDriver } from '../registries.ts';
import type { ResourceClient } from '../resources/client.ts';
import { type Server, ServerKind } from '../resources/kinds.ts';
import { deviceNameOf } from './devices.ts';

/** @throws SIDERO_BMC_SHARED */
export type OwnerCheck = (server: Server, claims: readonly PowerDriver[]) => Promise<void>;

/**
 * Refuses to switch a server whose device another Server names too: it stands before one machine, and whose that is nobody knows. A Server in use
 * keeps its device while no other of them is in use.
 */
export function createOwnerCheck(resources: Pick<ResourceClient, 'list'>): OwnerCheck {
  const devices = new KnownDevices();
  return async (server, claims) => {
    const drivers = claims.filter((driver) => driver.deviceOf && !driver.tellsMachinesApart);
    if (drivers.length === 0) return;
    const isInUse = server.status?.inUse === true;
    const own = drivers.map((driver) => deviceIn(driver, server));
    for (const other of await resources.list(ServerKind)) {
      if (other.metadata.name === server.metadata.name || (isInUse && other.status?.inUse !== true)) continue;
      const driver = drivers.find((each, index) => devices.of(each, other) === own[index]);
      if (!driver) continue;
      const { name } = server.metadata;
      throw failure('SIDERO_BMC_SHARED', { server: name, driver: driver.name, device: deviceIn(driver, server), other: other.metadata.name });
    }
  };
}

/** The devices of Servers as they are now: a whole fleet is gone through for each action, and hardly any of it has changed since the last one. */
class KnownDevices {
  readonly #known = new WeakMap<Server, Map<PowerDriver, string | undefined>>();

  /** Undefined: the driver does not claim it. */
  of(driver: PowerDriver, server: Server): string | undefined {
    const known = this.#known.get(server) ?? new Map<PowerDriver, string | undefined>();
    if (known.size === 0) this.#known.set(server, known);
    if (!known.has(driver)) known.set(driver, driver.claims(server) ? deviceIn(driver, server) : undefined);
    return known.get(driver);
  }
}

function deviceIn(driver: PowerDriver, server: Server): string {
  return deviceNameOf(driver, server).toLowerCase();
}
