/**
 * SMBIOS tables as the firmware leaves them (DMTF DSP0134). Nothing here trusts their lengths: what a structure is too short to
 * hold is absent.
 */

/** One structure: its formatted area from the type byte on, and the strings after it. */
export interface Structure {
  readonly type: number;
  readonly handle: number;
  readonly area: DataView;
  readonly strings: readonly string[];
}

/** What the firmware says of the machine. */
export interface Smbios {
  /** 2.8 is 0x0208, as versions compare best. */
  readonly version: number;
  /** In the order of the table. */
  readonly structures: readonly Structure[];
}

const HEADER_LENGTH = 4;
const END_OF_TABLE = 127;
// Some firmware lies about its tables; no real one has more structures.
const STRUCTURE_LIMIT = 65_536;

/** Parses the entry point and the structure table, as Linux gives them under `/sys/firmware/dmi/tables`. Never throws. */
export function parseSmbios(entryPoint: Uint8Array, table: Uint8Array): Smbios {
  return { version: versionOf(entryPoint), structures: [...structuresOf(table)] };
}

/** The version an entry point states: `_SM3_` (64 bit), `_SM_` (32 bit) or the old `_DMI_`. 0 when it is none of them. */
export function versionOf(entryPoint: Uint8Array): number {
  const at = (offset: number) => entryPoint[offset] ?? 0;
  const anchor = Buffer.from(entryPoint.subarray(0, 5)).toString('latin1');
  if (anchor === '_SM3_') return (at(7) << 8) | at(8);
  if (anchor.startsWith('_SM_')) return (at(6) << 8) | at(7);
  if (anchor === '_DMI_') return ((at(14) >> 4) << 8) | (at(14) & 0x0f);
  return 0;
}

function* structuresOf(table: Uint8Array): Generator<Structure> {
  let offset = 0;
  for (let count = 0; count < STRUCTURE_LIMIT && offset + HEADER_LENGTH <= table.length; count++) {
    const length = table[offset + 1]!;
    if (length < HEADER_LENGTH || offset + length > table.length) return;
    const area = new DataView(table.buffer, table.byteOffset + offset, length);
    const { strings, end } = stringsAt(table, offset + length);
    const type = area.getUint8(0);
    yield { type, handle: area.getUint16(2, true), area, strings };
    if (type === END_OF_TABLE) return;
    offset = end;
  }
}

// The strings follow the formatted area, each ended by a zero, the last by two; a structure without strings has two zeros.
function stringsAt(table: Uint8Array, start: number): { strings: string[]; end: number } {
  const strings: string[] = [];
  let offset = start;
  while (offset < table.length && table[offset] !== 0) {
    const zero = table.indexOf(0, offset);
    const end = zero === -1 ? table.length : zero;
    strings.push(cleanText(table.subarray(offset, end)));
    offset = end + 1;
  }
  return { strings, end: strings.length === 0 ? start + 2 : offset + 1 };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const PLACEHOLDER = 'to be filled by o.e.m.';

function cleanText(bytes: Uint8Array): string {
  try {
    const text = utf8.decode(bytes).trim();
    return text.toLowerCase() === PLACEHOLDER ? '' : text;
  } catch {
    return '';
  }
}

/** Reads fields by their offset in the specification; what lies beyond the structure is undefined. */
export interface Fields {
  readonly byte: (offset: number) => number | undefined;
  readonly word: (offset: number) => number | undefined;
  readonly dword: (offset: number) => number | undefined;
  /** The string whose number stands at `offset`; empty when there is none. */
  readonly text: (offset: number) => string;
}

export function fieldsOf({ area, strings }: Structure): Fields {
  const fits = (offset: number, bytes: number) => offset + bytes <= area.byteLength;
  const byte = (offset: number) => (fits(offset, 1) ? area.getUint8(offset) : undefined);
  return {
    byte,
    word: (offset) => (fits(offset, 2) ? area.getUint16(offset, true) : undefined),
    dword: (offset) => (fits(offset, 4) ? area.getUint32(offset, true) : undefined),
    text: (offset) => strings[(byte(offset) ?? 0) - 1] ?? '',
  };
}

/** The structures of one type. */
export function structuresOfType(smbios: Smbios, type: number): readonly Structure[] {
  return smbios.structures.filter((structure) => structure.type === type);
}

const SYSTEM = 1;
const UUID_OFFSET = 8;
/** From this version on the first three groups of the UUID are little-endian. */
const LITTLE_ENDIAN_UUID = 0x0206;

/**
 * The system UUID in lower case: the name of the Server, and the same text that iPXE and Talos show. Undefined when the firmware has
 * none; all zeros and all ones are passed on, the management plane refuses them in words.
 */
export function systemUuid(smbios: Smbios): string | undefined {
  const area = structuresOfType(smbios, SYSTEM).at(-1)?.area;
  if (!area || area.byteLength < UUID_OFFSET + 16) return undefined;
  const bytes = Buffer.from(area.buffer, area.byteOffset + UUID_OFFSET, 16);
  const order = smbios.version >= LITTLE_ENDIAN_UUID ? [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] : [...bytes.keys()];
  const hex = Buffer.from(order.map((index) => bytes[index]!)).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
