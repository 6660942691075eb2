import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';

/** Bytes of a WireGuard key, private or public. */
const KEY_BYTES = 32;
// PKCS #8 of an X25519 key, up to its 32 bytes (RFC 8410).
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** A WireGuard key as read, or why it is none, in the words of the original. */
export type ParsedKey = { readonly key: string } | { readonly problem: string };

/** Reads a key in base64 and gives it in its one form. Line breaks inside are ignored, as the original ignores them. */
export function parseKey(text: string): ParsedKey {
  const plain = text.replace(/[\r\n]/g, '');
  const wrongAt = plain.search(/[^A-Za-z0-9+/]/);
  const isPadded = plain.length % 4 === 0 && (wrongAt < 0 || /^={1,2}$/.test(plain.slice(wrongAt)));
  if (!isPadded) {
    const at = wrongAt < 0 ? plain.length : wrongAt;
    return { problem: `wgtypes: failed to parse base64-encoded key: illegal base64 data at input byte ${at}` };
  }
  const bytes = Buffer.from(plain, 'base64');
  if (bytes.length !== KEY_BYTES) return { problem: `wgtypes: incorrect key size: ${bytes.length}` };
  return { key: bytes.toString('base64') };
}

/** The public key (base64) of a private key (base64). */
export function publicKeyOf(privateKey: string): string {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, Buffer.from(privateKey, 'base64')]), format: 'der', type: 'pkcs8' });
  return Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x!, 'base64url').toString('base64');
}

/** A new private key, base64. */
export function generatePrivateKey(): string {
  const bytes = randomBytes(KEY_BYTES);
  bytes[0]! &= 248;
  bytes[31] = (bytes[31]! & 127) | 64;
  return bytes.toString('base64');
}

/** As WireGuard's own protocol writes keys. */
export function keyToHex(key: string): string {
  return Buffer.from(key, 'base64').toString('hex');
}

/** The other way. */
export function keyFromHex(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
