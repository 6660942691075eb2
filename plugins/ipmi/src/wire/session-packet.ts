import { createCipheriv, createDecipheriv, createHash, createHmac, type KeyObject, randomBytes } from 'node:crypto';
import { failure } from '../errors.ts';
import { FieldReader, fixedText, isSameCode, join, uint16, uint32 } from './bytes.ts';
import type { CipherSuite } from './cipher-suite.ts';

/** Authentication types of IPMI 1.5 (IPMI 2.0, table 13-8) that we speak. MD2 is not among them: Node has none, and BMCs that have it have MD5. */
export const AUTH_TYPE = { none: 0x00, md5: 0x02, password: 0x04 } as const;
export type AuthType = (typeof AUTH_TYPE)[keyof typeof AUTH_TYPE];

/** What an RMCP+ packet carries (IPMI 2.0, table 13-16). */
export const PAYLOAD = { ipmi: 0x00, openRequest: 0x10, openResponse: 0x11, rakp1: 0x12, rakp2: 0x13, rakp3: 0x14, rakp4: 0x15 } as const;

const RMCP_PLUS = 0x06;
const ENCRYPTED = 0x80;
const AUTHENTICATED = 0x40;
const OEM_PAYLOAD = 0x02;
const NEXT_HEADER = 0x07;
const PLAIN_CODE_BYTES = 16;
const BLOCK_BYTES = 16;

/** A packet of IPMI 1.5. `sessionId` and `sequence` are 0 outside of a session. */
export interface PlainPacket {
  readonly version: '1.5';
  readonly authType: AuthType;
  readonly sequence: number;
  readonly sessionId: number;
  /** Empty when `authType` is none. */
  readonly authCode: Uint8Array;
  readonly payload: Uint8Array;
}

/** A packet of IPMI 2.0 as it is on the wire. `sessionId` and `sequence` are 0 outside of a session. */
export interface SealedPacket {
  readonly version: '2.0';
  readonly payloadType: number;
  readonly isEncrypted: boolean;
  readonly isAuthenticated: boolean;
  readonly sessionId: number;
  readonly sequence: number;
  /** Still encrypted when `isEncrypted`. */
  readonly payload: Uint8Array;
  /** All of it, for the integrity code at its end. */
  readonly body: Uint8Array;
}

/** Keys of an RMCP+ session, from `deriveKeys` in session-keys.ts. */
export interface SessionKeys {
  readonly suite: CipherSuite;
  /** For integrity codes. A key object: made anew from bytes for each packet, it costs four times the packet's own cost. */
  readonly k1: KeyObject;
  /** The 16 bytes of K2 that encrypt. */
  readonly k2: KeyObject;
}

/**
 * Reads the session header of what RMCP carries. Nothing is verified yet: `openPlain` and `openSealed` do that.
 * @throws SIDERO_IPMI_MALFORMED
 */
export function decodeSession(body: Uint8Array): PlainPacket | SealedPacket {
  const reader = new FieldReader(body, 'IPMI session header');
  const authType = reader.byte();
  if (authType === RMCP_PLUS) return decodeSealed(body, reader);
  if (authType !== AUTH_TYPE.none && authType !== AUTH_TYPE.md5 && authType !== AUTH_TYPE.password) {
    throw failure('SIDERO_IPMI_MALFORMED', { problem: `authentication type ${authType} is unknown` });
  }
  const sequence = reader.uint32();
  const sessionId = reader.uint32();
  const authCode = authType === AUTH_TYPE.none ? new Uint8Array() : reader.take(PLAIN_CODE_BYTES);
  // What may follow the payload is padding for network chips of old (13.6).
  return { version: '1.5', authType, sequence, sessionId, authCode, payload: reader.take(reader.byte()) };
}

function decodeSealed(body: Uint8Array, reader: FieldReader): SealedPacket {
  const flags = reader.byte();
  const payloadType = flags & 0x3f;
  if (payloadType === OEM_PAYLOAD) reader.take(6);
  return {
    version: '2.0',
    payloadType,
    isEncrypted: (flags & ENCRYPTED) !== 0,
    isAuthenticated: (flags & AUTHENTICATED) !== 0,
    sessionId: reader.uint32(),
    sequence: reader.uint32(),
    payload: reader.take(reader.uint16()),
    body,
  };
}

/** What is sent in a packet of IPMI 1.5. */
export type PlainContent = Omit<PlainPacket, 'version' | 'authCode'>;

/** A packet of IPMI 1.5, ready for RMCP. `password` is at most 16 bytes; unused when `authType` is none. */
export function encodePlain(content: PlainContent, password = ''): Uint8Array {
  const { authType, sequence, sessionId, payload } = content;
  return join(authType, uint32(sequence), uint32(sessionId), plainCode(content, password), payload.length, payload);
}

/**
 * The payload, once the packet has shown that its sender knows the password.
 * @throws SIDERO_IPMI_UNPROVEN
 */
export function openPlain(packet: PlainPacket, password = ''): Uint8Array {
  if (!isSameCode(packet.authCode, plainCode(packet, password))) {
    throw failure('SIDERO_IPMI_UNPROVEN', { problem: 'its authentication code is wrong' });
  }
  return packet.payload;
}

function plainCode({ authType, sequence, sessionId, payload }: PlainContent, password: string): Uint8Array {
  const secret = fixedText(password, PLAIN_CODE_BYTES);
  if (authType === AUTH_TYPE.none) return new Uint8Array();
  if (authType === AUTH_TYPE.password) return secret;
  return createHash('md5')
    .update(join(secret, uint32(sessionId), payload, uint32(sequence), secret))
    .digest();
}

/** What is sent in a packet of IPMI 2.0. */
export interface SealedContent {
  readonly payloadType: number;
  readonly sessionId: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/**
 * A packet of IPMI 2.0, ready for RMCP: encrypted and signed when there are keys, as it is before a session is open when there are none.
 * @param iv of the encryption; default random, another one only for tests
 */
export function encodeSealed(content: SealedContent, keys?: SessionKeys, iv: Uint8Array = randomBytes(BLOCK_BYTES)): Uint8Array {
  const { payloadType, sessionId, sequence } = content;
  const payload = keys ? encrypt(content.payload, keys, iv) : content.payload;
  const flags = keys ? ENCRYPTED | AUTHENTICATED : 0;
  const head = join(RMCP_PLUS, flags | payloadType, uint32(sessionId), uint32(sequence), uint16(payload.length), payload);
  if (!keys) return head;
  // The signed part is a multiple of four bytes long, with the pad's length and the next header.
  const padBytes = -(head.length + 2) & 3;
  const signed = join(head, new Uint8Array(padBytes).fill(0xff), padBytes, NEXT_HEADER);
  return join(signed, integrityCode(signed, keys));
}

/**
 * The payload in clear, once the packet has shown that its sender has the keys.
 * @throws SIDERO_IPMI_UNPROVEN when it is not signed, wrongly signed, or not encrypted
 * @throws SIDERO_IPMI_MALFORMED when what was encrypted is no payload
 */
export function openSealed(packet: SealedPacket, keys: SessionKeys): Uint8Array {
  if (!packet.isAuthenticated || !packet.isEncrypted) throw failure('SIDERO_IPMI_UNPROVEN', { problem: 'it is not signed and encrypted' });
  const end = packet.body.length - keys.suite.integrityBytes;
  const signed = packet.body.subarray(0, Math.max(0, end));
  if (!isSameCode(packet.body.subarray(signed.length), integrityCode(signed, keys))) {
    throw failure('SIDERO_IPMI_UNPROVEN', { problem: 'its integrity code is wrong' });
  }
  return decrypt(packet.payload, keys);
}

function integrityCode(signed: Uint8Array, { suite, k1 }: SessionKeys): Uint8Array {
  return createHmac(suite.hash, k1).update(signed).digest().subarray(0, suite.integrityBytes);
}

// AES-CBC-128 (13.29): the pad is 1, 2, 3, … and then its length, 0 to 15.
function encrypt(payload: Uint8Array, { k2 }: SessionKeys, iv: Uint8Array): Uint8Array {
  const padBytes = -(payload.length + 1) & (BLOCK_BYTES - 1);
  const pad = Uint8Array.from({ length: padBytes }, (_, index) => index + 1);
  const cipher = createCipheriv('aes-128-cbc', k2, iv).setAutoPadding(false);
  return join(iv, cipher.update(join(payload, pad, padBytes)), cipher.final());
}

function decrypt(sealed: Uint8Array, { k2 }: SessionKeys): Uint8Array {
  const reader = new FieldReader(sealed, 'encrypted payload');
  const iv = reader.take(BLOCK_BYTES);
  const blocks = reader.rest();
  if (blocks.length === 0 || blocks.length % BLOCK_BYTES !== 0) {
    throw failure('SIDERO_IPMI_MALFORMED', { problem: `${blocks.length} encrypted bytes are not whole blocks` });
  }
  const decipher = createDecipheriv('aes-128-cbc', k2, iv).setAutoPadding(false);
  const clear = join(decipher.update(blocks), decipher.final());
  const padBytes = clear.at(-1)!;
  // The pad's content is not looked at: it is signed, and some BMCs fill it with zeros.
  if (padBytes >= clear.length) throw failure('SIDERO_IPMI_MALFORMED', { problem: 'the padding is longer than the payload' });
  return clear.subarray(0, clear.length - 1 - padBytes);
}
