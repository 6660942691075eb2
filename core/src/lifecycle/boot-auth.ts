import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** How long an agent token lives; heartbeats renew it. */
export const TOKEN_LIFETIME_MS = 10 * 60_000;

/** Why a token was not taken; `undefined` boot id means it was never ours. */
export type TokenVerdict = { readonly valid: true; readonly bootId: string } | { readonly valid: false; readonly why: string };

/** Signs and checks agent tokens with the key of this installation; holds no state. */
export interface TokenMint {
  newBootId(): string;
  /** `<bootId>.<end, s since 1970, base 36>.<HMAC-SHA256, base64url>`: safe in a kernel argument. */
  sign(uuid: string, bootId: string, now?: Date): string;
  check(uuid: string, token: string, now?: Date): TokenVerdict;
}

/** `key`: at least 32 random bytes. */
export function createTokenMint(key: Uint8Array): TokenMint {
  const macOf = (uuid: string, bootId: string, end: string) => createHmac('sha256', key).update(`agent\0${uuid}\0${bootId}\0${end}`).digest();
  return {
    newBootId: () => randomBytes(12).toString('base64url'),
    sign(uuid, bootId, now = new Date()) {
      const end = Math.floor((now.getTime() + TOKEN_LIFETIME_MS) / 1000).toString(36);
      return `${bootId}.${end}.${macOf(uuid, bootId, end).toString('base64url')}`;
    },
    check(uuid, token, now = new Date()) {
      const match = /^([\w-]{16})\.([0-9a-z]{1,9})\.([\w-]{43})$/.exec(token);
      if (!match) return { valid: false, why: 'its boot token is malformed' };
      const [, bootId, end, mac] = match as unknown as [string, string, string, string];
      const given = Buffer.from(mac, 'base64url');
      const ours = macOf(uuid, bootId, end);
      if (given.length !== ours.length || !timingSafeEqual(given, ours))
        return { valid: false, why: 'its boot token was not made here for this server' };
      if (Number.parseInt(end, 36) * 1000 < now.getTime()) return { valid: false, why: 'its boot token has ended' };
      return { valid: true, bootId };
    },
  };
}
