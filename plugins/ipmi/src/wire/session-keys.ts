import { createHmac, createSecretKey } from 'node:crypto';
import { fixedText, join, lengthAndText, uint32 } from './bytes.ts';
import type { CipherSuite } from './cipher-suite.ts';
import type { SessionKeys } from './session-packet.ts';

const AES_KEY_BYTES = 16;

/** What both ends know once RAKP 2 was sent. */
export interface Handshake {
  readonly suite: CipherSuite;
  /** At most 20 bytes. */
  readonly password: string;
  readonly user: string;
  readonly role: number;
  readonly consoleSessionId: number;
  readonly bmcSessionId: number;
  readonly consoleRandom: Uint8Array;
  readonly bmcRandom: Uint8Array;
  readonly bmcGuid: Uint8Array;
}

/** Proof of the BMC, in RAKP 2, that it knows the password (13.31). */
export function rakp2Code(known: Handshake): Uint8Array {
  const ids = join(uint32(known.consoleSessionId), uint32(known.bmcSessionId));
  return hmac(known, passwordKey(known), join(ids, known.consoleRandom, known.bmcRandom, known.bmcGuid, known.role, lengthAndText(known.user)));
}

/** Proof of the console, in RAKP 3, that it knows the password (13.31). */
export function rakp3Code(known: Handshake): Uint8Array {
  return hmac(known, passwordKey(known), join(known.bmcRandom, uint32(known.consoleSessionId), known.role, lengthAndText(known.user)));
}

/** Proof of the BMC, in RAKP 4, that both have the same session key (13.28.1, 13.31). */
export function rakp4Code(known: Handshake): Uint8Array {
  const over = join(known.consoleRandom, uint32(known.bmcSessionId), known.bmcGuid);
  return hmac(known, sessionKey(known), over).subarray(0, known.suite.integrityBytes);
}

/** Keys of the session (13.31, 13.32). A BMC key other than the user's (K_G) is not supported. */
export function deriveKeys(known: Handshake): SessionKeys {
  const key = sessionKey(known);
  // 20 bytes for SHA-256, too: the constants did not grow with the hash.
  const k1 = hmac(known, key, new Uint8Array(20).fill(1));
  const k2 = hmac(known, key, new Uint8Array(20).fill(2));
  return { suite: known.suite, k1: createSecretKey(k1), k2: createSecretKey(k2.subarray(0, AES_KEY_BYTES)) };
}

function sessionKey(known: Handshake): Uint8Array {
  return hmac(known, passwordKey(known), join(known.consoleRandom, known.bmcRandom, known.role, lengthAndText(known.user)));
}

function passwordKey({ password }: Handshake): Uint8Array {
  return fixedText(password, 20);
}

function hmac({ suite }: Handshake, key: Uint8Array, over: Uint8Array): Uint8Array {
  return createHmac(suite.hash, key).update(over).digest();
}
