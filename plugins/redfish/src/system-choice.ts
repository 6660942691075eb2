import type { Server } from '@sidero/core';
import type { Found, ServiceClient } from './client.ts';
import { ComputerSystem } from './documents.ts';

/** A system of a service, and how we know that it is the machine of the Server. */
export interface ChosenSystem {
  readonly path: string;
  readonly by: 'UUID' | 'serial number' | 'the only one';
}

/**
 * The system of a service that is the machine of this Server: that with its SMBIOS UUID, else with its serial number, else the only one
 * unless both tell that it is another machine: an endpoint that went to somebody else must not cost him his power.
 * @throws SIDERO_BMC_UNSUPPORTED, naming what was found
 */
export async function chooseSystem(client: ServiceClient, server: Server, signal: AbortSignal): Promise<ChosenSystem> {
  const root = await client.service.root({ failures: client.failures, signal });
  const collection = root.Systems?.['@odata.id'];
  if (collection === undefined) throw client.failures.unsupported('the service has no Systems');
  const systems: Found<ComputerSystem>[] = [];
  for (const member of await client.members(collection, signal)) {
    const system = await client.get(member, ComputerSystem, signal);
    if (hasUuidOf(system.document, server)) return { path: system.path, by: 'UUID' };
    systems.push(system);
  }
  const bySerial = onlyOne(systems.filter(({ document }) => hasSerialOf(document, server)));
  if (bySerial) return { path: bySerial.path, by: 'serial number' };
  const only = onlyOne(systems);
  if (only && !isAnother(only.document, server)) return { path: only.path, by: 'the only one' };
  const found = systems.map(({ path, document }) => document.UUID ?? document.SerialNumber ?? path);
  const listed = found.length === 0 ? 'it has none at all' : `it has ${client.service.clause(found.join(', '))}`;
  throw client.failures.unsupported(`none of its systems has the UUID or the serial number of this Server: ${listed}`);
}

// One alone may be told wrongly, or in a form of its own; not both.
function isAnother({ UUID, SerialNumber }: ComputerSystem, server: Server): boolean {
  const serial = server.spec?.hardware?.system?.serialNumber?.trim() ?? '';
  return digitsOf(UUID ?? '') !== undefined && digitsOf(server.metadata.name) !== undefined && serial !== '' && Boolean(SerialNumber?.trim());
}

const onlyOne = <T>(all: readonly T[]): T | undefined => (all.length === 1 ? all[0] : undefined);

function hasUuidOf({ UUID }: ComputerSystem, server: Server): boolean {
  if (UUID === undefined) return false;
  return [server.metadata.name, server.spec?.hardware?.system?.uuid ?? ''].some((uuid) => isSameUuid(uuid, UUID));
}

/** Whether two texts are one UUID. Some BMCs give the first three groups in the other byte order, as SMBIOS before 2.6 left it open. */
export function isSameUuid(ours: string, theirs: string): boolean {
  const [one, other] = [digitsOf(ours), digitsOf(theirs)];
  return one !== undefined && other !== undefined && (one === other || swapped(one) === other);
}

/** The digits of a UUID; undefined when it is none, or one that says nothing. */
function digitsOf(uuid: string): string | undefined {
  const digits = uuid.replaceAll('-', '').toLowerCase();
  return /^[0-9a-f]{32}$/.test(digits) && !/^(0+|f+)$/.test(digits) ? digits : undefined;
}

const swapped = (digits: string): string => digits.replace(/^(..)(..)(..)(..)(..)(..)(..)(..)/, '$4$3$2$1$6$5$8$7');

// Dell keeps what SMBIOS calls the serial number, its service tag, in SKU.
function hasSerialOf({ SerialNumber, SKU }: ComputerSystem, server: Server): boolean {
  const serial = server.spec?.hardware?.system?.serialNumber?.trim().toLowerCase() ?? '';
  return serial !== '' && [SerialNumber, SKU].some((text) => text?.trim().toLowerCase() === serial);
}
