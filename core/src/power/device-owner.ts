import { failure } from '../errors.ts';
import type { PowerDriver } from '../registries.ts';
import type { ResourceClient } from '../resources/client.ts';
import { type Server, ServerKind } from '../resources/kinds.ts';

/** Where a device is looked for. */
export interface AmongServers {
  readonly resources: Pick<ResourceClient, 'list'>;
  /** Those that claim the server. */
  readonly claims: readonly PowerDriver[];
}

/**
 * Refuses to switch a server whose device another Server names too: it stands before one machine, and whose that is nobody knows. A Server in use
 * keeps its device while no other of them is in use.
 * @throws SIDERO_BMC_SHARED
 */
export async function refuseShared(server: Server, { resources, claims }: AmongServers): Promise<void> {
  const drivers = claims.filter((driver) => driver.deviceOf && !driver.tellsMachinesApart);
  if (drivers.length === 0) return;
  const isInUse = server.status?.inUse === true;
  for (const other of await resources.list(ServerKind)) {
    if (other.metadata.name === server.metadata.name || (isInUse && other.status?.inUse !== true)) continue;
    const driver = drivers.find((each) => each.claims(other) && deviceIn(each, other) === deviceIn(each, server));
    if (!driver) continue;
    const { name } = server.metadata;
    throw failure('SIDERO_BMC_SHARED', { server: name, driver: driver.name, device: deviceIn(driver, server), other: other.metadata.name });
  }
}

function deviceIn(driver: PowerDriver, server: Server): string {
  return (driver.deviceOf?.(server) || server.metadata.name).toLowerCase();
}
