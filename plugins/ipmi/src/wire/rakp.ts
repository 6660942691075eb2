import { failure } from '../errors.ts';
import { FieldReader, join, lengthAndText, textOf, uint32 } from './bytes.ts';
import type { Algorithms } from './cipher-suite.ts';

/** Privilege levels (IPMI 2.0, 6.8). */
export const PRIVILEGE = { callback: 1, user: 2, operator: 3, administrator: 4 } as const;
export type Privilege = keyof typeof PRIVILEGE;

/** The user is looked up by name alone, not by name and privilege: what every BMC supports. */
export const NAME_ONLY_LOOKUP = 0x10;

/** Longest user name, in bytes. */
export const USER_NAME_BYTES = 16;

export interface OpenSessionRequest {
  readonly tag: number;
  /** 0 lets the BMC choose. */
  readonly privilege: number;
  readonly consoleSessionId: number;
  readonly algorithms: Algorithms;
}

/** An answer of the BMC that is no success carries nothing but its status: see RAKP_STATUS. */
export interface Refusal {
  readonly tag: number;
  /** Not 0. */
  readonly status: number;
  /** 0 when the answer is too short to have it. */
  readonly consoleSessionId: number;
}

/** An answer that is yet to be sent: its status goes without saying. */
type Granted<T> = Omit<T, 'status'> & { readonly status?: 0 };

/** Tells a success from a refusal. */
export function isGranted<T extends { readonly status: 0 }>(answer: T | Refusal): answer is T {
  return answer.status === 0;
}

export interface OpenSessionAnswer {
  readonly tag: number;
  readonly status: 0;
  readonly privilege: number;
  readonly consoleSessionId: number;
  readonly bmcSessionId: number;
  readonly algorithms: Algorithms;
}

export interface Rakp1 {
  readonly tag: number;
  readonly bmcSessionId: number;
  /** 16 bytes. */
  readonly consoleRandom: Uint8Array;
  /** Privilege and lookup, as one byte: the codes are over it as it was sent. */
  readonly role: number;
  readonly user: string;
}

export interface Rakp2 {
  readonly tag: number;
  readonly status: 0;
  readonly consoleSessionId: number;
  /** 16 bytes. */
  readonly bmcRandom: Uint8Array;
  /** 16 bytes. */
  readonly bmcGuid: Uint8Array;
  readonly authCode: Uint8Array;
}

export interface Rakp3 {
  readonly tag: number;
  /** Not 0 when the console gives up. */
  readonly status: number;
  readonly bmcSessionId: number;
  /** Empty when `status` is not 0. */
  readonly authCode: Uint8Array;
}

export interface Rakp4 {
  readonly tag: number;
  readonly status: 0;
  readonly consoleSessionId: number;
  readonly integrityCode: Uint8Array;
}

const ALGORITHM_FIELDS = ['authentication', 'integrity', 'confidentiality'] as const;

// One payload of 8 bytes for each algorithm (13.17).
function encodeAlgorithms(algorithms: Algorithms): Uint8Array {
  return join(...ALGORITHM_FIELDS.map((field, type) => Uint8Array.of(type, 0, 0, 8, algorithms[field], 0, 0, 0)));
}

function readAlgorithms(reader: FieldReader): Algorithms {
  const [authentication, integrity, confidentiality] = ALGORITHM_FIELDS.map((field, type) => {
    const payload = reader.take(8);
    if (payload[0] !== type) throw failure('SIDERO_IPMI_MALFORMED', { problem: `payload ${payload[0]} where the ${field} algorithm belongs` });
    // A length of 0 asks for any algorithm; we neither offer nor accept that.
    return payload[4]! & 0x3f;
  });
  return { authentication: authentication!, integrity: integrity!, confidentiality: confidentiality! };
}

export function encodeOpenRequest({ tag, privilege, consoleSessionId, algorithms }: OpenSessionRequest): Uint8Array {
  return join(tag, privilege, 0, 0, uint32(consoleSessionId), encodeAlgorithms(algorithms));
}

/** @throws SIDERO_IPMI_MALFORMED, as all decoders here */
export function decodeOpenRequest(payload: Uint8Array): OpenSessionRequest {
  const reader = new FieldReader(payload, 'Open Session Request');
  const [tag, privilege] = reader.take(4);
  return { tag: tag!, privilege: privilege! & 0x0f, consoleSessionId: reader.uint32(), algorithms: readAlgorithms(reader) };
}

export function encodeOpenAnswer({ tag, privilege, consoleSessionId, bmcSessionId, algorithms }: Granted<OpenSessionAnswer>): Uint8Array {
  return join(tag, 0, privilege, 0, uint32(consoleSessionId), uint32(bmcSessionId), encodeAlgorithms(algorithms));
}

export function decodeOpenAnswer(payload: Uint8Array): OpenSessionAnswer | Refusal {
  const reader = new FieldReader(payload, 'Open Session Response');
  const [tag, status] = reader.take(2);
  if (status !== 0) return readRefusal(reader, { tag: tag!, status: status! });
  const [privilege] = reader.take(2);
  const consoleSessionId = reader.uint32();
  return { tag: tag!, status, privilege: privilege! & 0x0f, consoleSessionId, bmcSessionId: reader.uint32(), algorithms: readAlgorithms(reader) };
}

/** Any of the BMC's three answers when it refuses. */
export function encodeRefusal({ tag, status, consoleSessionId }: Refusal): Uint8Array {
  return join(tag, status, 0, 0, uint32(consoleSessionId));
}

function readRefusal(reader: FieldReader, head: { tag: number; status: number }): Refusal {
  if (reader.left < 6) return { ...head, consoleSessionId: 0 };
  reader.take(2);
  return { ...head, consoleSessionId: reader.uint32() };
}

export function encodeRakp1({ tag, bmcSessionId, consoleRandom, role, user }: Rakp1): Uint8Array {
  return join(tag, 0, 0, 0, uint32(bmcSessionId), consoleRandom, role, 0, 0, lengthAndText(user));
}

export function decodeRakp1(payload: Uint8Array): Rakp1 {
  const reader = new FieldReader(payload, 'RAKP message 1');
  const tag = reader.byte();
  reader.take(3);
  const bmcSessionId = reader.uint32();
  const consoleRandom = reader.take(16);
  const [role] = reader.take(3);
  const length = reader.byte();
  if (length > USER_NAME_BYTES) throw failure('SIDERO_IPMI_MALFORMED', { problem: `a user name of ${length} bytes` });
  return { tag, bmcSessionId, consoleRandom, role: role!, user: textOf(reader.take(length)) };
}

export function encodeRakp2({ tag, consoleSessionId, bmcRandom, bmcGuid, authCode }: Granted<Rakp2>): Uint8Array {
  return join(tag, 0, 0, 0, uint32(consoleSessionId), bmcRandom, bmcGuid, authCode);
}

export function decodeRakp2(payload: Uint8Array): Rakp2 | Refusal {
  const reader = new FieldReader(payload, 'RAKP message 2');
  const [tag, status] = reader.take(2);
  if (status !== 0) return readRefusal(reader, { tag: tag!, status: status! });
  reader.take(2);
  const consoleSessionId = reader.uint32();
  return { tag: tag!, status, consoleSessionId, bmcRandom: reader.take(16), bmcGuid: reader.take(16), authCode: reader.rest() };
}

export function encodeRakp3({ tag, status, bmcSessionId, authCode }: Rakp3): Uint8Array {
  return join(tag, status, 0, 0, uint32(bmcSessionId), authCode);
}

export function decodeRakp3(payload: Uint8Array): Rakp3 {
  const reader = new FieldReader(payload, 'RAKP message 3');
  const [tag, status] = reader.take(4);
  return { tag: tag!, status: status!, bmcSessionId: reader.uint32(), authCode: reader.rest() };
}

export function encodeRakp4({ tag, consoleSessionId, integrityCode }: Granted<Rakp4>): Uint8Array {
  return join(tag, 0, 0, 0, uint32(consoleSessionId), integrityCode);
}

export function decodeRakp4(payload: Uint8Array): Rakp4 | Refusal {
  const reader = new FieldReader(payload, 'RAKP message 4');
  const [tag, status] = reader.take(2);
  if (status !== 0) return readRefusal(reader, { tag: tag!, status: status! });
  reader.take(2);
  return { tag: tag!, status, consoleSessionId: reader.uint32(), integrityCode: reader.rest() };
}
