import type { MessageInitShape } from '@bufbuild/protobuf';
import type { BMCHardwareSchema, HardwareInformationSchema } from '@sidero/plugin-agent/protocol';
import { storageFacts } from './disks.ts';
import { networkFacts } from './links.ts';
import { type Machine, StageFailure } from './machine.ts';
import { parseSmbios, type Smbios, systemUuid } from './smbios.ts';
import { baseboardFacts, computeFacts, firmwareFacts, memoryFacts, systemFacts } from './smbios-facts.ts';

const TABLES = '/sys/firmware/dmi/tables';

/** Reads the SMBIOS tables. @throws StageFailure "smbios" when there are none, or no UUID in them */
export function readSmbios(machine: Machine): Smbios {
  const [entryPoint, table] = ['smbios_entry_point', 'DMI'].map((file) => machine.bytes(`${TABLES}/${file}`));
  if (!entryPoint || !table) throw new StageFailure('smbios', 'the firmware has no SMBIOS tables, so this machine has no identity');
  const smbios = parseSmbios(entryPoint, table);
  if (!systemUuid(smbios)) throw new StageFailure('smbios', 'the SMBIOS tables hold no system UUID, so this machine has no identity');
  return smbios;
}

/** Everything the machine tells of itself, as it is now. */
export function inventory(
  machine: Machine,
  smbios: Smbios,
  bmc: MessageInitShape<typeof BMCHardwareSchema>,
): MessageInitShape<typeof HardwareInformationSchema> {
  const bootMode = machine.list('/sys/firmware/efi').length > 0 ? 'uefi' : 'bios';
  return {
    system: systemFacts(smbios),
    compute: computeFacts(smbios),
    memory: memoryFacts(smbios),
    storage: storageFacts(machine),
    network: networkFacts(machine),
    firmware: firmwareFacts(smbios, bootMode),
    baseboard: baseboardFacts(smbios),
    bmc,
  };
}
