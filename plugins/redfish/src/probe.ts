import type { ServiceClient } from './client.ts';
import { ComputerSystem, Manager } from './documents.ts';
import { resetActionOf } from './reset.ts';
import type { ChosenSystem } from './system-choice.ts';

/** What a service really offers for one system, for people. What it does not tell is left out. */
export async function probe(
  client: ServiceClient,
  { system, trust }: { readonly system: ChosenSystem; readonly trust: string },
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const { service, failures } = client;
  const root = await service.root({ failures, signal });
  const found = await client.get(system.path, ComputerSystem, signal);
  const { document } = found;
  const action = await resetActionOf(client, found, signal);
  const [manager] = document.Links?.ManagedBy ?? [];
  const firmware = manager && (await client.get(manager['@odata.id'], Manager, signal)).document.FirmwareVersion;
  const told: Readonly<Record<string, string | undefined>> = {
    Redfish: root.RedfishVersion,
    Model: [document.Manufacturer, document.Model].filter(Boolean).join(' '),
    'BMC firmware': firmware,
    BIOS: document.BiosVersion,
    System: `${system.path}, by ${system.by}`,
    Reset: action ? (action.types?.join(', ') ?? 'not told') : 'none',
    'Boot override': document.Boot && overrideText(document.Boot),
    Login: service.scheme,
    ETag: found.etag === undefined ? 'no' : 'yes',
    Trust: trust,
  };
  const entries = Object.entries(told).flatMap(([key, text]) => (text ? [[key, service.clause(text)] as const] : []));
  return Object.fromEntries(entries);
}

function overrideText(boot: NonNullable<ComputerSystem['Boot']>): string {
  const parts = [
    boot['BootSourceOverrideTarget@Redfish.AllowableValues']?.join(', '),
    boot['BootSourceOverrideEnabled@Redfish.AllowableValues']?.join(', '),
    boot['BootSourceOverrideMode@Redfish.AllowableValues']?.join(', ') ?? boot.BootSourceOverrideMode,
  ];
  return parts.filter(Boolean).join('; ');
}
