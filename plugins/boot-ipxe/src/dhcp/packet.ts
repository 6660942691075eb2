import { failure } from '../errors.ts';
import { fromBits, toBits } from './ipv4.ts';

/** Numbers of the options we read or write (RFC 2132 and the registry of IANA). */
export const DHCP_OPTION = {
  subnetMask: 1,
  router: 3,
  dns: 6,
  hostname: 12,
  broadcast: 28,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverId: 54,
  message: 56,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientId: 61,
  tftpServer: 66,
  bootFile: 67,
  userClass: 77,
  relayAgent: 82,
  architecture: 93,
  machineId: 97,
  ipxe: 175,
} as const;

/** Values of option 53. */
export const DHCP_MESSAGE = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7, inform: 8 } as const;

export type DhcpOptions = ReadonlyMap<number, Uint8Array>;

/** A DHCP packet (RFC 2131, 2132), options of all its parts joined (option overload, and RFC 3396 for long ones). */
export interface DhcpPacket {
  readonly op: 'request' | 'reply';
  readonly hardwareType: number;
  /** Up to 16 bytes. */
  readonly hardwareAddress: Uint8Array;
  readonly hops: number;
  readonly transaction: number;
  readonly seconds: number;
  /** The highest bit asks for a broadcast. */
  readonly flags: number;
  readonly ciaddr: string;
  readonly yiaddr: string;
  readonly siaddr: string;
  readonly giaddr: string;
  /** Empty when the field held options. */
  readonly serverName: string;
  /** Empty when the field held options. */
  readonly bootFile: string;
  readonly options: DhcpOptions;
}

const COOKIE = 0x63825363;
const [SNAME, FILE, OPTIONS] = [44, 108, 240];
const [PAD, END] = [0, 255];
/** BOOTP clients drop anything shorter. */
const MIN_BYTES = 300;

/** @throws SIDERO_DHCP_MALFORMED */
export function decodeDhcp(bytes: Uint8Array): DhcpPacket {
  const packet = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const op = ([undefined, 'request', 'reply'] as const)[packet[0] ?? 0];
  const hardwareLength = packet[2] ?? 0;
  if (packet.length < OPTIONS) throw malformed(`${packet.length} bytes are too few`);
  if (!op) throw malformed(`operation ${packet[0]} is unknown`);
  if (hardwareLength > 16) throw malformed(`a hardware address of ${hardwareLength} bytes does not fit`);
  if (packet.readUInt32BE(236) !== COOKIE) throw malformed('it has no DHCP cookie');
  const parts = decodeOptions(packet);
  return {
    op,
    hardwareType: packet.readUInt8(1),
    hardwareAddress: packet.subarray(28, 28 + hardwareLength),
    hops: packet.readUInt8(3),
    transaction: packet.readUInt32BE(4),
    seconds: packet.readUInt16BE(8),
    flags: packet.readUInt16BE(10),
    ciaddr: fromBits(packet.readUInt32BE(12)),
    yiaddr: fromBits(packet.readUInt32BE(16)),
    siaddr: fromBits(packet.readUInt32BE(20)),
    giaddr: fromBits(packet.readUInt32BE(24)),
    serverName: parts.overload & 2 ? '' : textOf(packet.subarray(SNAME, FILE)),
    bootFile: parts.overload & 1 ? '' : textOf(packet.subarray(FILE, 236)),
    options: parts.options,
  };
}

/** The bytes on the wire, options in the order of the map, at least 300 bytes. Texts too long for their field are not written there. */
export function encodeDhcp(packet: DhcpPacket): Buffer {
  const head = Buffer.alloc(OPTIONS);
  head.writeUInt8(packet.op === 'request' ? 1 : 2, 0);
  head.writeUInt8(packet.hardwareType, 1);
  head.writeUInt8(packet.hardwareAddress.length, 2);
  head.writeUInt8(packet.hops, 3);
  head.writeUInt32BE(packet.transaction, 4);
  head.writeUInt16BE(packet.seconds, 8);
  head.writeUInt16BE(packet.flags, 10);
  for (const [index, address] of [packet.ciaddr, packet.yiaddr, packet.siaddr, packet.giaddr].entries())
    head.writeUInt32BE(toBits(address), 12 + 4 * index);
  head.set(packet.hardwareAddress, 28);
  writeText(head.subarray(SNAME, FILE), packet.serverName);
  writeText(head.subarray(FILE, 236), packet.bootFile);
  head.writeUInt32BE(COOKIE, 236);
  const bytes = Buffer.concat([head, ...[...packet.options].flatMap(encodeOption), Buffer.from([END])]);
  return bytes.length < MIN_BYTES ? Buffer.concat([bytes], MIN_BYTES) : bytes;
}

/** `52:54:00:12:34:56`. */
export function hardwareAddressOf(packet: DhcpPacket): string {
  return Buffer.from(packet.hardwareAddress).toString('hex').match(/../g)?.join(':') ?? '';
}

/** The value of an option that is an address; undefined when it is absent or no address. */
export function addressOption(packet: DhcpPacket, option: number): string | undefined {
  const value = packet.options.get(option);
  return value?.length === 4 ? fromBits(Buffer.from(value).readUInt32BE()) : undefined;
}

export function textOption(packet: DhcpPacket, option: number): string | undefined {
  const value = packet.options.get(option);
  return value && textOf(value);
}

/** Value of option 53, 0 when it is absent. */
export function messageTypeOf(packet: DhcpPacket): number {
  return packet.options.get(DHCP_OPTION.messageType)?.[0] ?? 0;
}

export function addressBytes(...addresses: readonly string[]): Buffer {
  return Buffer.from(addresses.flatMap((address) => address.split('.').map(Number)));
}

export function longBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

// Options may go on in the boot file field and then in the server name field (option 52); parts of one number are joined.
function decodeOptions(packet: Buffer): { options: Map<number, Buffer>; overload: number } {
  const options = new Map<number, Buffer>();
  readOptions(packet.subarray(OPTIONS), options);
  const overload = options.get(DHCP_OPTION.overload)?.[0] ?? 0;
  if (overload & 1) readOptions(packet.subarray(FILE, 236), options);
  if (overload & 2) readOptions(packet.subarray(SNAME, FILE), options);
  options.delete(DHCP_OPTION.overload);
  return { options, overload };
}

// A missing end mark is let pass: some clients fill the packet to its last byte.
function readOptions(bytes: Buffer, into: Map<number, Buffer>): void {
  let at = 0;
  while (at < bytes.length && bytes[at] !== END) {
    const option = bytes[at]!;
    at += 1;
    if (option === PAD) continue;
    const length = bytes[at];
    if (length === undefined || at + 1 + length > bytes.length) throw malformed(`option ${option} goes beyond the end`);
    const value = bytes.subarray(at + 1, at + 1 + length);
    const known = into.get(option);
    into.set(option, known ? Buffer.concat([known, value]) : value);
    at += 1 + length;
  }
}

function encodeOption([option, value]: readonly [number, Uint8Array]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let start = 0; start === 0 || start < value.length; start += 255) {
    const part = value.subarray(start, start + 255);
    parts.push(Uint8Array.from([option, part.length]), part);
  }
  return parts;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').split('\0', 1)[0]!;
}

function writeText(field: Buffer, text: string): void {
  if (text.length < field.length) field.write(text, 'latin1');
}

function malformed(problem: string) {
  return failure('SIDERO_DHCP_MALFORMED', { problem });
}
