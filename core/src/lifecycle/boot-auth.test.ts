import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTokenMint, TOKEN_LIFETIME_MS } from './boot-auth.ts';

const mint = createTokenMint(Buffer.alloc(32, 7));
const uuid = '4c4c4544-0000-1111-8222-c0ffee000001';
const now = new Date('2026-11-22T12:00:00Z');

test('a token proves the boot it was made for', () => {
  const bootId = mint.newBootId();
  expect(mint.check(uuid, mint.sign(uuid, bootId, now), now)).toEqual({ valid: true, bootId });
});

test('a token of another server is refused', () => {
  const token = mint.sign(uuid, mint.newBootId(), now);
  expect(mint.check('4c4c4544-0000-1111-8222-c0ffee000002', token, now)).toMatchObject({ valid: false });
});

test('a token ends', () => {
  const token = mint.sign(uuid, mint.newBootId(), now);
  expect(mint.check(uuid, token, new Date(now.getTime() + TOKEN_LIFETIME_MS + 1000))).toEqual({ valid: false, why: 'its boot token has ended' });
});

test('a token of another installation is refused', () => {
  const token = createTokenMint(Buffer.alloc(32, 8)).sign(uuid, mint.newBootId(), now);
  expect(mint.check(uuid, token, now)).toMatchObject({ valid: false });
});

test('no change of any character of a token is overlooked', () => {
  const token = mint.sign(uuid, mint.newBootId(), now);
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.constantFrom('a', 'Z', '0', '9', '-', '_', '.'), (at, character) => {
      fc.pre(token[at] !== character);
      const changed = token.slice(0, at) + character + token.slice(at + 1);
      // The last character of base64url carries spare bits; the same bytes are the same token.
      fc.pre(at < token.length - 1);
      expect(mint.check(uuid, changed, now).valid).toBe(false);
    }),
  );
});

test('no text is taken for a token, and none breaks the check', () => {
  fc.assert(fc.property(fc.string(), (text) => !mint.check(uuid, text, now).valid));
});

test('a token is safe as a kernel argument', () => {
  expect(mint.sign(uuid, mint.newBootId(), now)).toMatch(/^[\w.-]+$/);
});
