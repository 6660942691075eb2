import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  BaseboardInformationSchema,
  ComputeInformationSchema,
  FirmwareInformationSchema,
  MemoryInformationSchema,
  MemoryModuleSchema,
  ProcessorSchema,
  SystemInformationSchema,
} from '@sidero/plugin-agent/protocol';
import { type Fields, fieldsOf, type Smbios, structuresOfType, systemUuid } from './smbios.ts';

const FIRMWARE = 0;
const SYSTEM = 1;
const BASEBOARD = 2;
const PROCESSOR = 4;
const MEMORY_DEVICE = 17;
const IPMI_DEVICE = 38;

/** BIOS or UEFI, type 0. */
export function firmwareFacts(smbios: Smbios, bootMode: 'uefi' | 'bios'): MessageInitShape<typeof FirmwareInformationSchema> {
  const fields = last(smbios, FIRMWARE);
  return { vendor: fields?.text(0x04) ?? '', version: fields?.text(0x05) ?? '', releaseDate: fields?.text(0x08) ?? '', bootMode };
}

/** The machine, type 1; the last structure wins. */
export function systemFacts(smbios: Smbios): MessageInitShape<typeof SystemInformationSchema> {
  const fields = last(smbios, SYSTEM);
  return {
    uuid: systemUuid(smbios) ?? '',
    manufacturer: fields?.text(0x04) ?? '',
    productName: fields?.text(0x05) ?? '',
    version: fields?.text(0x06) ?? '',
    serialNumber: fields?.text(0x07) ?? '',
    skuNumber: fields?.text(0x19) ?? '',
    family: fields?.text(0x1a) ?? '',
  };
}

/** The mainboard, type 2; the first one, as blades list theirs before the chassis'. */
export function baseboardFacts(smbios: Smbios): MessageInitShape<typeof BaseboardInformationSchema> {
  const [board] = structuresOfType(smbios, BASEBOARD);
  const fields = board && fieldsOf(board);
  return { manufacturer: fields?.text(0x04) ?? '', productName: fields?.text(0x05) ?? '', serialNumber: fields?.text(0x07) ?? '' };
}

/** Processors in populated sockets, type 4. */
export function computeFacts(smbios: Smbios): MessageInitShape<typeof ComputeInformationSchema> {
  const populated = 0x40;
  const sockets = structuresOfType(smbios, PROCESSOR).map(fieldsOf);
  const processors = sockets.filter((fields) => ((fields.byte(0x18) ?? 0) & populated) !== 0).map(processorFacts);
  return {
    processors,
    processorCount: processors.length,
    totalCoreCount: sum(processors.map(({ coreCount }) => coreCount)),
    totalThreadCount: sum(processors.map(({ threadCount }) => threadCount)),
  };
}

function processorFacts(fields: Fields): MessageInitShape<typeof ProcessorSchema> & { coreCount: number; threadCount: number } {
  // 0xFF in the byte says that the count is in the word that SMBIOS 3.0 added.
  const count = (byteOffset: number, wordOffset: number) => {
    const small = fields.byte(byteOffset) ?? 0;
    return small === 0xff ? (fields.word(wordOffset) ?? small) : small;
  };
  return {
    manufacturer: fields.text(0x07),
    productName: fields.text(0x10),
    serialNumber: fields.text(0x20),
    speed: fields.word(0x16) ?? 0,
    coreCount: count(0x23, 0x2a),
    threadCount: count(0x25, 0x2e),
  };
}

/** Memory modules in populated slots, type 17. Sizes in MB. */
export function memoryFacts(smbios: Smbios): MessageInitShape<typeof MemoryInformationSchema> {
  const modules = structuresOfType(smbios, MEMORY_DEVICE).flatMap((structure) => moduleFacts(fieldsOf(structure)));
  return { modules, moduleCount: modules.length, totalSize: sum(modules.map(({ size }) => size)) };
}

type Module = MessageInitShape<typeof MemoryModuleSchema> & { size: number };

function moduleFacts(fields: Fields): Module[] {
  const size = moduleSizeMB(fields);
  if (size === undefined) return [];
  const speed = fields.word(0x15) ?? 0;
  return [
    {
      manufacturer: fields.text(0x17),
      productName: fields.text(0x1a),
      serialNumber: fields.text(0x18),
      type: MEMORY_TYPES[fields.byte(0x12) ?? 0] ?? 'Unknown',
      size,
      speed: speed === 0xffff ? (fields.dword(0x54) ?? 0) & 0x7fff_ffff : speed,
    },
  ];
}

function moduleSizeMB(fields: Fields): number | undefined {
  const size = fields.word(0x0c) ?? 0;
  // An empty slot, or one whose module the firmware cannot size.
  if (size === 0 || size === 0xffff) return undefined;
  if (size === 0x7fff) return (fields.dword(0x1c) ?? 0) & 0x7fff_ffff;
  return size & 0x8000 ? Math.floor((size & 0x7fff) / 1024) : size;
}

/** Names by the number that SMBIOS gives them. The original counts from 0 and skips a reserved one, so it calls DDR4 "LPDDR3". */
const MEMORY_TYPES: Readonly<Record<number, string>> = {
  0x01: 'Other',
  0x02: 'Unknown',
  0x03: 'DRAM',
  0x04: 'EDRAM',
  0x05: 'VRAM',
  0x06: 'SRAM',
  0x07: 'RAM',
  0x08: 'ROM',
  0x09: 'FLASH',
  0x0a: 'EEPROM',
  0x0b: 'FEPROM',
  0x0c: 'EPROM',
  0x0d: 'CDRAM',
  0x0e: '3DRAM',
  0x0f: 'SDRAM',
  0x10: 'SGRAM',
  0x11: 'RDRAM',
  0x12: 'DDR',
  0x13: 'DDR2',
  0x14: 'DDR2 FB-DIMM',
  0x18: 'DDR3',
  0x19: 'FBD2',
  0x1a: 'DDR4',
  0x1b: 'LPDDR',
  0x1c: 'LPDDR2',
  0x1d: 'LPDDR3',
  0x1e: 'LPDDR4',
  0x1f: 'Logical non-volatile device',
  0x20: 'HBM (High Bandwidth Memory)',
  0x21: 'HBM2 (High Bandwidth Memory Generation 2)',
  0x22: 'DDR5',
  0x23: 'LPDDR5',
  0x24: 'HBM3 (High Bandwidth Memory Generation 3)',
};

/** Whether the firmware describes an IPMI controller, type 38; then waiting for its driver is worth it. */
export function describesBmc(smbios: Smbios): boolean {
  return structuresOfType(smbios, IPMI_DEVICE).length > 0;
}

function last(smbios: Smbios, type: number): Fields | undefined {
  const structure = structuresOfType(smbios, type).at(-1);
  return structure && fieldsOf(structure);
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
