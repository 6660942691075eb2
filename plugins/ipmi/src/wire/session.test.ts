import { hasCode } from '@sidero/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { failure } from '../errors.ts';
import { CIPHER_SUITES, type CipherSuite, suiteOf } from './cipher-suite.ts';
import { encodeRequest } from './lan-message.ts';
import { deriveKeys, type Handshake, rakp2Code, rakp3Code, rakp4Code } from './session-keys.ts';
import { AUTH_TYPE, decodeSession, encodePlain, encodeSealed, openPlain, openSealed, PAYLOAD, type SealedPacket } from './session-packet.ts';

const range = (from: number) => Uint8Array.from({ length: 16 }, (_, index) => from + index);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/**
 * Expected values by Python's hmac and hashlib, and `openssl enc -aes-128-cbc -nopad`, with H(k, d) = hmac.new(k, d, sha1 or sha256),
 * u = 14 06 "sidero", both session IDs low byte first, Kuid = "secret" with zeros to 20 bytes:
 * rakp2 = H(Kuid, console ID + BMC ID + console random + BMC random + GUID + u), rakp3 = H(Kuid, BMC random + console ID + u),
 * SIK = H(Kuid, console random + BMC random + u), rakp4 = H(SIK, console random + BMC ID + GUID) cut to 12 or 16 bytes,
 * k1 = H(SIK, 20 × 01), k2 = H(SIK, 20 × 02).
 */
const EXPECTED = {
  3: {
    rakp2: '2d543696735f6c5afa0e28cfae7a00da994b56aa',
    rakp3: 'bdaa85b34c7d420b96f0e67342f197d9b5e8ef8b',
    rakp4: '3f000d964c94409f2c63b461',
    k1: '4f6807072080f9a92a5a9da46e244e7b2f80088b',
    k2: '2f578e2d8aa9796f84805017ff18a2ee4f4648a2',
    sealed: '06c088776655090000002000303132333435363738393a3b3c3d3e3f927b51e3bea092b12416daf9bbcb205affff020760f3c7df500ed18fb0fd0af4',
  },
  17: {
    rakp2: '6bd545069eb87ad918e0ece29c54aecb224d0ad8ec390628413cd2118e487ce0',
    rakp3: '9c4f8df18cdb01d638e0ae20828bb2766447d25b0b8debfcb6c0875b9abbf14b',
    rakp4: 'd94f6aa24d0e4122771ccf7857125d31',
    k1: '0053604b6f389373ed54a826bcaadf355ff00b96e5a81c86684515c9ace4559c',
    k2: '9a52cc8cca0a41346eec7d726b9e8c75efa05cfc0ae7bf076361d5b48ffcb64b',
    sealed: '06c088776655090000002000303132333435363738393a3b3c3d3e3f3d888b5caf31a79cec27f99e74da1defffff02072dcc23d94c21ef1fd236dd5c63d9208a',
  },
} as const;

const handshakeOf = (suite: CipherSuite): Handshake => ({
  suite,
  password: 'secret',
  user: 'sidero',
  role: 0x14,
  consoleSessionId: 0x11223344,
  bmcSessionId: 0x55667788,
  consoleRandom: range(0),
  bmcRandom: range(16),
  bmcGuid: range(32),
});
const chassisStatus = encodeRequest({ netFn: 0, command: 1, data: new Uint8Array(), sequence: 5 });
const content = { payloadType: PAYLOAD.ipmi, sessionId: 0x55667788, sequence: 9, payload: chassisStatus };
const decodeSealed = (bytes: Uint8Array) => decodeSession(bytes) as SealedPacket;

describe.each([CIPHER_SUITES[3], CIPHER_SUITES[17]])('cipher suite $id', (suite) => {
  const handshake = handshakeOf(suite);
  const keys = deriveKeys(handshake);
  const expected = EXPECTED[suite.id];

  test('codes and keys are those of an independent computation', () => {
    expect([rakp2Code(handshake), rakp3Code(handshake), rakp4Code(handshake)].map(hex)).toEqual([expected.rakp2, expected.rakp3, expected.rakp4]);
    expect([hex(keys.k1.export()), hex(keys.k2.export())]).toEqual([expected.k1, expected.k2.slice(0, 32)]);
  });

  test('a packet is encrypted and signed as in an independent computation', () => {
    expect(hex(encodeSealed(content, keys, range(0x30)))).toBe(expected.sealed);
    expect(hex(openSealed(decodeSealed(Buffer.from(expected.sealed, 'hex')), keys))).toBe(hex(chassisStatus));
  });

  test('a payload of any length survives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
        const packet = decodeSealed(encodeSealed({ ...content, payload }, keys));
        expect(packet).toMatchObject({ sessionId: content.sessionId, sequence: 9, payloadType: PAYLOAD.ipmi, isEncrypted: true });
        expect(hex(openSealed(packet, keys))).toBe(hex(payload));
      }),
    );
  });

  test('a packet with any bit changed, or cut anywhere, is dropped', () => {
    const good = encodeSealed(content, keys);
    const changed = fc
      .tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }))
      .map(([at, bits]) => good.map((byte, i) => (i === at ? byte ^ bits : byte)));
    const cut = fc.nat(good.length - 1).map((length) => good.slice(0, length));
    fc.assert(
      fc.property(fc.oneof(changed, cut), (bytes) => {
        expect(() => {
          const packet = decodeSession(bytes);
          // A changed first byte may make it one of 1.5, which has no place in a session of 2.0.
          if (packet.version === '1.5') throw failure('SIDERO_IPMI_UNPROVEN', { problem: 'it is of another version' });
          openSealed(packet, keys);
        }).toThrow(expect.objectContaining({ code: expect.stringMatching(/^SIDERO_IPMI_/) }));
      }),
      { numRuns: 500 },
    );
  });

  test('what is not signed and encrypted is dropped, even with the right session', () => {
    expect(() => openSealed(decodeSealed(encodeSealed(content)), keys)).toThrow(expect.objectContaining({ code: 'SIDERO_IPMI_UNPROVEN' }));
  });

  test('its algorithms name it', () => {
    expect(suiteOf(suite.algorithms)).toBe(suite);
    expect(suiteOf({ ...suite.algorithms, confidentiality: 0 })).toBeUndefined();
  });
});

describe('IPMI 1.5', () => {
  // hashlib.md5(secret + session ID + message + sequence + secret), the password with zeros to 16 bytes, numbers low byte first.
  const code = 'ea7464c1f3c1437077bc03c8287ab623';
  const plain = { sequence: 9, sessionId: 0x55667788, payload: chassisStatus };

  test('an MD5 code is that of an independent computation', () => {
    const packet = decodeSession(encodePlain({ ...plain, authType: AUTH_TYPE.md5 }, 'secret'));
    expect(hex((packet as { authCode: Uint8Array }).authCode)).toBe(code);
  });

  test.each(Object.entries(AUTH_TYPE))('a packet with authentication %s survives, and only with the right password', (name, authType) => {
    const packet = decodeSession(encodePlain({ ...plain, authType }, 'secret'));
    if (packet.version !== '1.5') throw new Error('not of 1.5');
    expect(packet).toMatchObject({ ...plain, authType });
    expect(openPlain(packet, 'secret')).toEqual(chassisStatus);
    if (name !== 'none') expect(() => openPlain(packet, 'other')).toThrow(expect.objectContaining({ code: 'SIDERO_IPMI_UNPROVEN' }));
  });

  test('padding after the payload is left alone', () => {
    const bytes = encodePlain({ ...plain, authType: AUTH_TYPE.none });
    expect(decodeSession(Buffer.concat([bytes, Buffer.alloc(1)]))).toMatchObject({ payload: chassisStatus });
  });
});

test('any bytes are a session packet or a classified error', () => {
  const keys = deriveKeys(handshakeOf(CIPHER_SUITES[17]));
  const bytes = fc
    .tuple(fc.constantFrom(0, 2, 4, 6), fc.constantFrom(0, 0x40, 0x80, 0xc0, 0xc2), fc.uint8Array({ maxLength: 120 }))
    .map(([type, flags, rest]) => Uint8Array.of(type, flags, ...rest));
  fc.assert(
    fc.property(bytes, (given) => {
      try {
        const packet = decodeSession(given);
        if (packet.version === '2.0') openSealed(packet, keys);
        else openPlain(packet, 'secret');
      } catch (error) {
        expect(hasCode(error, 'SIDERO_IPMI_MALFORMED') || hasCode(error, 'SIDERO_IPMI_UNPROVEN')).toBe(true);
      }
    }),
    { numRuns: 1000 },
  );
});
