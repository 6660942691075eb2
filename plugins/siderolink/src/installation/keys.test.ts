import { expect, test } from 'vitest';
import { generatePrivateKey, keyFromHex, keyToHex, parseKey, publicKeyOf } from './keys.ts';

const repeated = (hex: string) => Buffer.from(hex.repeat(32), 'hex').toString('base64');

// Answers of the original's library.
test.each([
  ['00', 'L+V9o0fNYkMVKNqsX7spBzD/9oSvxM/C7ZCZX1jLO3Q='],
  ['01', 'pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk='],
  ['07', 'E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe20='],
  ['42', 'EyxEK+AQ+9V+cmAzKKp25x/MwVA6riGTJ9FNnJmT9HI='],
  ['ff', 'hHwNLDdSNPNl5mCVUYejc1oPdhPRYJ06ak2MU66qWiI='],
])('the public key of a private key of %s', (byte, publicKey) => {
  expect(publicKeyOf(repeated(byte))).toBe(publicKey);
});

test('the public key of the private key in the docs', () => {
  expect(publicKeyOf('0M9lxAwrpWHCs8MnmZGtC/Vc+FRPS9S40wnHSM0CwG8=')).toBe('ze3mghJ7ABkWOhrfQukVRjEvMIHvPSF3E1W1VzApD1U=');
});

test('a new private key is clamped, and another one each time', () => {
  const keys = Array.from({ length: 50 }, generatePrivateKey);
  expect(new Set(keys).size).toBe(50);
  for (const key of keys) {
    const bytes = Buffer.from(key, 'base64');
    expect([bytes.length, bytes[0]! & 7, bytes[31]! & 192]).toEqual([32, 0, 64]);
  }
});

test.each([
  ['', 'wgtypes: incorrect key size: 0'],
  ['AAAA', 'wgtypes: incorrect key size: 3'],
  [`${repeated('00')}AAAA`, 'wgtypes: failed to parse base64-encoded key: illegal base64 data at input byte 43'],
  [repeated('00').slice(0, -1), 'wgtypes: failed to parse base64-encoded key: illegal base64 data at input byte 43'],
  [` ${repeated('00')}`, 'wgtypes: failed to parse base64-encoded key: illegal base64 data at input byte 0'],
  ['no key', 'wgtypes: failed to parse base64-encoded key: illegal base64 data at input byte 2'],
])('%j is no key', (text, problem) => {
  expect(parseKey(text)).toEqual({ problem });
});

test('line breaks inside a key are ignored', () => {
  expect(parseKey(repeated('07').replace(/^(.{9})/, '$1\r\n'))).toEqual({ key: repeated('07') });
});

test('keys are the same in hex and back', () => {
  expect(keyToHex(repeated('07'))).toBe('07'.repeat(32));
  expect(keyFromHex('07'.repeat(32))).toBe(repeated('07'));
});
