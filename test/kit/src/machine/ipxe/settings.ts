/** How iPXE writes a value out; the part after the colon in `${net0/mac:hexhyp}`. */
export type SettingType =
  | 'string'
  | 'uristring'
  | 'hex'
  | 'hexhyp'
  | 'hexraw'
  | 'base64'
  | 'uuid'
  | 'ipv4'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'uint8'
  | 'uint16'
  | 'uint32';

/** A value as iPXE keeps it: raw bytes, and the type that applies where a script names none. */
export interface Setting {
  readonly raw: Buffer;
  readonly type: SettingType;
}

const INTEGER_BYTES: Readonly<Record<string, number>> = { int8: 1, int16: 2, int32: 4, uint8: 1, uint16: 2, uint32: 4 };

const isInteger = (type: SettingType) => type in INTEGER_BYTES;

/** A text setting. */
export function textSetting(value: string): Setting {
  return { raw: Buffer.from(value, 'utf8'), type: 'string' };
}

/** A MAC address, given with colons. */
export function macSetting(mac: string): Setting {
  return { raw: Buffer.from(mac.replaceAll(':', ''), 'hex'), type: 'hex' };
}

/** A UUID, given with hyphens. */
export function uuidSetting(uuid: string): Setting {
  return { raw: Buffer.from(uuid.replaceAll('-', ''), 'hex'), type: 'uuid' };
}

/** An IPv4 address in dotted decimals. */
export function ipv4Setting(address: string): Setting {
  return { raw: Buffer.from(address.split('.').map(Number)), type: 'ipv4' };
}

/** Stores text as `set name:type text` does; undefined when the text is not of that type. */
export function parseSetting(text: string, type: SettingType): Setting | undefined {
  if (isInteger(type)) {
    const value = parseInteger(text);
    return value === undefined ? undefined : integerSetting(value, type);
  }
  if (type === 'hex' || type === 'hexhyp' || type === 'hexraw') return { raw: Buffer.from(text.replaceAll(/[:-]/g, ''), 'hex'), type };
  if (type === 'ipv4') return ipv4Setting(text);
  if (type === 'uuid') return uuidSetting(text);
  return { raw: Buffer.from(text, 'utf8'), type };
}

/** A number as `type` keeps it, big-endian, cut to its width. */
export function integerSetting(value: number, type: SettingType): Setting {
  const width = INTEGER_BYTES[type] ?? 4;
  const raw = Buffer.alloc(4);
  raw.writeInt32BE(value | 0);
  return { raw: raw.subarray(4 - width), type };
}

/** The number in a setting of any type; undefined where iPXE finds none. */
export function integerOf(setting: Setting): number | undefined {
  if (!isInteger(setting.type)) return parseInteger(formatSetting(setting));
  if (setting.raw.length > 6) return undefined;
  return setting.type.startsWith('u') ? setting.raw.readUIntBE(0, setting.raw.length) : setting.raw.readIntBE(0, setting.raw.length);
}

/** Decimal, `0x…` or `0…` (octal), as strtoul with base 0 reads it. */
export function parseInteger(text: string): number | undefined {
  const match = /^([+-]?)(?:0x([0-9a-f]+)|0([0-7]*)|([1-9]\d*))$/i.exec(text);
  if (!match) return undefined;
  const [, sign, hex, octal, decimal] = match;
  const value = hex !== undefined ? Number.parseInt(hex, 16) : decimal !== undefined ? Number(decimal) : Number.parseInt(octal || '0', 8);
  return sign === '-' ? -value : value;
}

/** A setting as text, by `type` or else by its own type. */
export function formatSetting(setting: Setting, type: SettingType = setting.type): string {
  const { raw } = setting;
  if (isInteger(type)) return String(integerOf({ raw, type: isInteger(setting.type) ? setting.type : type }) ?? '');
  switch (type) {
    case 'hex':
      return hexJoined(raw, ':');
    case 'hexhyp':
      return hexJoined(raw, '-');
    case 'hexraw':
      return raw.toString('hex');
    case 'base64':
      return raw.toString('base64');
    case 'ipv4':
      return [...raw].join('.');
    case 'uuid':
      return raw.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    case 'uristring':
      return uriEscaped(setting.type === 'string' || setting.type === 'uristring' ? raw : Buffer.from(formatSetting(setting)));
    default:
      return raw.toString('utf8');
  }
}

function hexJoined(raw: Buffer, separator: string): string {
  return [...raw].map((byte) => byte.toString(16).padStart(2, '0')).join(separator);
}

/** Escapes what a URL or query parser would read: control characters, blank, `%`, non-ASCII bytes and `/#:@?=&`. */
function uriEscaped(raw: Buffer): string {
  return [...raw]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      const plain = byte > 0x20 && byte < 0x7f && !'%/#:@?=&'.includes(character);
      return plain ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

const TYPES: ReadonlySet<string> = new Set<SettingType>([
  'string',
  'uristring',
  'hex',
  'hexhyp',
  'hexraw',
  'base64',
  'uuid',
  'ipv4',
  'int8',
  'int16',
  'int32',
  'uint8',
  'uint16',
  'uint32',
]);

/** Splits `net0/mac:hexhyp`; undefined for a type iPXE does not know. */
export function parseSettingName(text: string): { readonly name: string; readonly type?: SettingType } | undefined {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return { name: text };
  const type = text.slice(colon + 1);
  return TYPES.has(type) ? { name: text.slice(0, colon), type: type as SettingType } : undefined;
}

/** The settings of one running iPXE: built in ones, and those a script sets. */
export class Settings {
  readonly #values = new Map<string, Setting>();

  constructor(builtIn: Readonly<Record<string, Setting>> = {}) {
    for (const [name, setting] of Object.entries(builtIn)) this.#values.set(name, setting);
  }

  get(name: string): Setting | undefined {
    return this.#values.get(name);
  }

  set(name: string, setting: Setting | undefined): void {
    if (setting === undefined || setting.raw.length === 0) this.#values.delete(name);
    else this.#values.set(name, setting);
  }

  /**
   * Replaces every `${name:type}`, innermost first, so that `${net${idx}/mac}` works. What is not set is empty. As in iPXE, a
   * value that itself holds `${…}` is expanded again, so a script that the network wrote is bounded here: 1,000 rounds.
   */
  expand(text: string): string {
    let expanded = text;
    for (let round = 0; round < 1000; round++) {
      const end = closingBrace(expanded);
      if (end === undefined) return expanded;
      const start = expanded.lastIndexOf('${', end);
      expanded = expanded.slice(0, start) + this.#formatted(expanded.slice(start + 2, end)) + expanded.slice(end + 1);
    }
    return expanded;
  }

  #formatted(reference: string): string {
    const parsed = parseSettingName(reference);
    const setting = parsed && this.#values.get(parsed.name);
    return setting ? formatSetting(setting, parsed.type) : '';
  }
}

/** The first `}` that has a `${` before it. */
function closingBrace(text: string): number | undefined {
  const open = text.indexOf('${');
  const end = open < 0 ? -1 : text.indexOf('}', open);
  return end < 0 ? undefined : end;
}
