import { failure } from '../errors.ts';
import { FieldReader, join } from './bytes.ts';

/** Address of the BMC, and that of software at the other end of the network (IPMI 2.0, 5.5). */
export const BMC_ADDRESS = 0x20;
export const CONSOLE_ADDRESS = 0x81;

/** Network functions of requests; the answer's is one more. */
export const NET_FN = { chassis: 0x00, app: 0x06, transport: 0x0c } as const;

/** A request of the console. */
export interface IpmiRequest {
  /** Even. */
  readonly netFn: number;
  readonly command: number;
  readonly data: Uint8Array;
  /** 6 bits, by which the answer is known. */
  readonly sequence: number;
}

/** The answer of the BMC. */
export interface IpmiResponse {
  /** Odd: that of the request plus one. */
  readonly netFn: number;
  readonly command: number;
  /** 0 is success; see completion-codes.ts. */
  readonly completionCode: number;
  readonly data: Uint8Array;
  readonly sequence: number;
}

/** An IPMI LAN message (IPMI 2.0, 13.8) with both checksums. */
export function encodeRequest({ netFn, command, data, sequence }: IpmiRequest): Uint8Array {
  return encode([BMC_ADDRESS, netFn << 2], join(CONSOLE_ADDRESS, (sequence & 0x3f) << 2, command, data));
}

/** As `encodeRequest`, from the BMC to the console. */
export function encodeResponse({ netFn, command, completionCode, data, sequence }: IpmiResponse): Uint8Array {
  return encode([CONSOLE_ADDRESS, netFn << 2], join(BMC_ADDRESS, (sequence & 0x3f) << 2, command, completionCode, data));
}

/** @throws SIDERO_IPMI_MALFORMED when it is too short, a checksum is wrong, or it is a response */
export function decodeRequest(bytes: Uint8Array): IpmiRequest {
  const { netFn, rest } = decode(bytes);
  if (netFn % 2 !== 0) throw failure('SIDERO_IPMI_MALFORMED', { problem: 'a response where a request belongs' });
  rest.byte();
  return { netFn, sequence: rest.byte() >> 2, command: rest.byte(), data: rest.rest() };
}

/** @throws SIDERO_IPMI_MALFORMED when it is too short, a checksum is wrong, or it is a request */
export function decodeResponse(bytes: Uint8Array): IpmiResponse {
  const { netFn, rest } = decode(bytes);
  if (netFn % 2 === 0) throw failure('SIDERO_IPMI_MALFORMED', { problem: 'a request where a response belongs' });
  rest.byte();
  return { netFn, sequence: rest.byte() >> 2, command: rest.byte(), completionCode: rest.byte(), data: rest.rest() };
}

function encode(connection: readonly [number, number], body: Uint8Array): Uint8Array {
  return join(...connection, checksum(connection), body, checksum(body));
}

function decode(bytes: Uint8Array): { netFn: number; rest: FieldReader } {
  const reader = new FieldReader(bytes, 'IPMI message');
  const connection = reader.take(2);
  if (reader.byte() !== checksum(connection)) throw failure('SIDERO_IPMI_MALFORMED', { problem: "the checksum of the message's header is wrong" });
  if (reader.left < 4) throw failure('SIDERO_IPMI_MALFORMED', { problem: `an IPMI message of ${bytes.length} bytes is too short` });
  const body = reader.take(reader.left - 1);
  if (reader.byte() !== checksum(body)) throw failure('SIDERO_IPMI_MALFORMED', { problem: "the checksum of the message's data is wrong" });
  return { netFn: connection[1]! >> 2, rest: new FieldReader(body, 'IPMI message') };
}

// All bytes and their checksum add up to 0 modulo 256.
function checksum(bytes: Iterable<number>): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return -sum & 0xff;
}
