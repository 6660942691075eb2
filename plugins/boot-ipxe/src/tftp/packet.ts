import { failure } from '../errors.ts';

/** Option names in lower case with their values, in the order of the packet. */
export type TftpOptions = ReadonlyMap<string, string>;

/** Error codes of RFC 1350, and 8 of RFC 2347. */
export const TFTP_ERROR = { other: 0, notFound: 1, accessViolation: 2, illegalOperation: 4, unknownTransfer: 5, optionRefused: 8 } as const;

/** A TFTP packet (RFC 1350, options after RFC 2347). `block` is the 16 bits on the wire. */
export type TftpPacket =
  | { readonly op: 'read' | 'write'; readonly file: string; readonly mode: string; readonly options: TftpOptions }
  | { readonly op: 'data'; readonly block: number; readonly data: Uint8Array }
  | { readonly op: 'ack'; readonly block: number }
  | { readonly op: 'error'; readonly code: number; readonly message: string }
  | { readonly op: 'oack'; readonly options: TftpOptions };

const OPCODES = { read: 1, write: 2, data: 3, ack: 4, error: 5, oack: 6 } as const;

/** @throws SIDERO_TFTP_MALFORMED */
export function decodeTftp(bytes: Uint8Array): TftpPacket {
  const packet = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (packet.length < 4) throw failure('SIDERO_TFTP_MALFORMED', { problem: `${packet.length} bytes are too few` });
  const opcode = packet.readUInt16BE(0);
  switch (opcode) {
    case OPCODES.read:
    case OPCODES.write:
      return decodeRequest(opcode === OPCODES.read ? 'read' : 'write', packet);
    case OPCODES.data:
      return { op: 'data', block: packet.readUInt16BE(2), data: packet.subarray(4) };
    case OPCODES.ack:
      return { op: 'ack', block: packet.readUInt16BE(2) };
    case OPCODES.error:
      // Some clients leave the zero after the text out; the text is for people only.
      return { op: 'error', code: packet.readUInt16BE(2), message: packet.toString('utf8', 4).split('\0', 1)[0] ?? '' };
    case OPCODES.oack:
      return { op: 'oack', options: decodeOptions(strings(packet)) };
    default:
      throw failure('SIDERO_TFTP_MALFORMED', { problem: `opcode ${opcode} is unknown` });
  }
}

/** The bytes on the wire. Texts must be free of NUL: it ends them. */
export function encodeTftp(packet: TftpPacket): Buffer {
  switch (packet.op) {
    case 'read':
    case 'write':
      return Buffer.concat([word(OPCODES[packet.op]), encodeTexts([packet.file, packet.mode, ...[...packet.options].flat()])]);
    case 'data':
      return Buffer.concat([word(OPCODES.data), word(packet.block), packet.data]);
    case 'ack':
      return Buffer.concat([word(OPCODES.ack), word(packet.block)]);
    case 'error':
      return Buffer.concat([word(OPCODES.error), word(packet.code), encodeTexts([packet.message])]);
    case 'oack':
      return Buffer.concat([word(OPCODES.oack), encodeTexts([...packet.options].flat())]);
  }
}

function decodeRequest(op: 'read' | 'write', packet: Buffer): TftpPacket {
  const [file, mode, ...rest] = strings(packet);
  if (!file) throw failure('SIDERO_TFTP_MALFORMED', { problem: 'the request names no file' });
  if (!mode) throw failure('SIDERO_TFTP_MALFORMED', { problem: 'the request names no mode' });
  return { op, file, mode: mode.toLowerCase(), options: decodeOptions(rest) };
}

// A repeated option counts once, as first given; RFC 2347 forbids repeating.
function decodeOptions(texts: readonly string[]): TftpOptions {
  if (texts.length % 2 !== 0) throw failure('SIDERO_TFTP_MALFORMED', { problem: `option "${texts.at(-1)}" has no value` });
  const options = new Map<string, string>();
  for (let i = 0; i < texts.length; i += 2) {
    const name = texts[i]!.toLowerCase();
    // Zeros after the last option are padding, not an option without a name.
    if (name !== '' && !options.has(name)) options.set(name, texts[i + 1]!);
  }
  return options;
}

// The zero-ended texts after the opcode; a single zero more is padding.
function strings(packet: Buffer): string[] {
  const end = packet.lastIndexOf(0);
  if (end !== packet.length - 1) throw failure('SIDERO_TFTP_MALFORMED', { problem: 'the last text is not ended by a zero' });
  const texts = packet.toString('utf8', 2, end).split('\0');
  return texts.length > 2 && texts.length % 2 === 1 && texts.at(-1) === '' ? texts.slice(0, -1) : texts;
}

function encodeTexts(texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\0`).join(''), 'utf8');
}

function word(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}
