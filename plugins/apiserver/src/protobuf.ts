import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { type JsonObject, textOf } from './object.ts';
import { PROTOBUF_MESSAGES } from './protobuf-messages.ts';
import { badRequest, unsupportedMediaType } from './status.ts';

/** What every Kubernetes protobuf body starts with. */
const MAGIC = Buffer.from('k8s\0', 'latin1');

/** Nesting beyond this is refused; no kind we know comes near. */
const MAX_DEPTH = 32;

/**
 * Reads the protobuf notation of a built-in kind (`k8s\0`, then `runtime.Unknown`) into the JSON notation.
 * @throws a Status: 400 when it cannot be read, 415 for kinds without a message table.
 */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC))
    throw badRequest('the body of the request is not Kubernetes protobuf: its first bytes are not "k8s\\0"');
  try {
    const unknown = readMessage(body.subarray(MAGIC.length), 'Unknown', 0);
    const { kind, apiVersion } = (unknown['typeMeta'] ?? {}) as { kind?: string; apiVersion?: string };
    if (!kind || kind === 'Unknown' || !Object.hasOwn(PROTOBUF_MESSAGES, kind)) throw unsupportedMediaType(['application/json', 'application/yaml']);
    const raw = Buffer.from(textOf(unknown['raw']), 'base64');
    return { kind, apiVersion: apiVersion ?? '', ...readMessage(raw, kind, 0) };
  } catch (error) {
    if (error instanceof Error && error.name === 'ApiError') throw error;
    throw badRequest(`the body of the request is not valid protobuf: ${(error as Error).message}`);
  }
}

/** How one field stands on the wire and in JSON. */
interface Field {
  readonly name: string;
  readonly type: string;
  readonly isList: boolean;
  readonly isMap: boolean;
  /** A zero value is a value, not absence. */
  readonly isPointer: boolean;
}

// `labels map<string>`, `finalizers string[]`, `generation int64`, `deletionGracePeriodSeconds int64?`
function fieldOf(notation: string): Field {
  const [name = '', given = ''] = notation.split(' ');
  const [, map] = /^map<(\w+)>$/.exec(given) ?? [];
  return {
    name,
    type: map ?? given.replace(/\?$|\[\]$/, ''),
    isList: given.endsWith('[]'),
    isMap: map !== undefined,
    isPointer: given.endsWith('?'),
  };
}

function readMessage(bytes: Uint8Array, message: string, depth: number): JsonObject {
  if (depth > MAX_DEPTH) throw new RangeError('it is nested too deeply');
  const fields = PROTOBUF_MESSAGES[message]!;
  const reader = new BinaryReader(bytes);
  const object: JsonObject = {};
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const notation = fields[number];
    if (notation === undefined) reader.skip(wire, number);
    else readField(reader, { field: fieldOf(notation), wire, object, depth });
  }
  return object;
}

interface At {
  readonly field: Field;
  readonly wire: WireType;
  readonly object: JsonObject;
  readonly depth: number;
}

function readField(reader: BinaryReader, { field, wire, object, depth }: At): void {
  if (field.isMap) {
    const entries = (object[field.name] ??= {}) as JsonObject;
    const [key, value] = readEntry(reader.bytes(), field.type, depth);
    if (key !== '__proto__') entries[key] = value;
    return;
  }
  const value = readValue(reader, { type: field.type, wire, depth });
  if (field.isList) ((object[field.name] ??= []) as unknown[]).push(value);
  // Go writes the zero value of every field that is not a pointer; in JSON it is left out.
  else if (value !== undefined && (field.isPointer || !isZero(value))) object[field.name] = value;
}

function isZero(value: unknown): boolean {
  return value === '' || value === 0 || value === false || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}

function readEntry(bytes: Uint8Array, type: string, depth: number): [string, unknown] {
  const reader = new BinaryReader(bytes);
  let key = '';
  let value: unknown = type === 'string' || type === 'bytes' ? '' : {};
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (number === 1) key = reader.string();
    else if (number === 2) value = readValue(reader, { type, wire, depth });
    else reader.skip(wire, number);
  }
  return [key, value];
}

function readValue(reader: BinaryReader, { type, wire, depth }: { type: string; wire: WireType; depth: number }): unknown {
  const isNumber = type === 'int32' || type === 'int64' || type === 'bool';
  if (wire !== (isNumber ? WireType.Varint : WireType.LengthDelimited)) throw new TypeError(`a field of type ${type} has the wrong wire type`);
  switch (type) {
    case 'string':
      return reader.string();
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'bool':
      return reader.bool();
    case 'int32':
      return reader.int32();
    case 'int64':
      return Number(reader.int64());
    case 'Time':
      return instant(readMessage(reader.bytes(), 'Instant', depth + 1), 'seconds');
    case 'MicroTime':
      return instant(readMessage(reader.bytes(), 'Instant', depth + 1), 'microseconds');
    case 'Quantity':
      return readMessage(reader.bytes(), 'Quantity', depth + 1)['string'] ?? '';
    case 'FieldsV1':
      return JSON.parse(Buffer.from(textOf(readMessage(reader.bytes(), 'FieldsV1', depth + 1)['raw'] ?? 'e30='), 'base64').toString('utf8'));
    default:
      return readMessage(reader.bytes(), type, depth + 1);
  }
}

// Go's zero time is an empty message; in JSON it is absent.
function instant({ seconds, nanos }: JsonObject, precision: 'seconds' | 'microseconds'): string | undefined {
  if (seconds === undefined) return undefined;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  if (precision === 'seconds') return `${whole}Z`;
  const micros = Math.floor(Number(nanos ?? 0) / 1000);
  return `${whole}.${String(micros).padStart(6, '0')}Z`;
}
