import { hasCode } from '@sidero/core';
import fc, { type Arbitrary } from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as protocol from '../protocol.ts';

const byte = fc.nat(255);
const id = fc.nat(0xffffffff);
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const name = fc.string({ maxLength: 16 }).filter((text) => !text.includes('\0') && text.isWellFormed() && Buffer.byteLength(text) <= 16);
const nibble = fc.nat(15);
const userId = fc.integer({ min: 1, max: 63 });
const algorithm = fc.nat(63);
const algorithms = fc.record({ authentication: algorithm, integrity: algorithm, confidentiality: algorithm });
const status0 = fc.constant(0 as const);
const channel = nibble;
const sequence = fc.nat(63);

interface Codec<T> {
  readonly values: Arbitrary<T>;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

const codec = <T>(values: Arbitrary<T>, encode: (value: T) => Uint8Array, decode: (bytes: Uint8Array) => unknown): Codec<never> => ({
  values: values as Arbitrary<never>,
  encode,
  decode,
});

/** Every pair of encoder and decoder, with values that the wire can carry whole. */
const CODECS: Readonly<Record<string, Codec<never>>> = {
  'RMCP ping': codec(fc.record({ class: fc.constant('ping' as const), tag: byte }), protocol.encodeRmcp, protocol.decodeRmcp),
  'RMCP pong': codec(
    fc.record({ class: fc.constant('pong' as const), tag: byte, speaksIpmi: fc.boolean() }),
    protocol.encodeRmcp,
    protocol.decodeRmcp,
  ),
  'RMCP with IPMI': codec(fc.record({ class: fc.constant('ipmi' as const), body: fc.uint8Array() }), protocol.encodeRmcp, protocol.decodeRmcp),
  request: codec(
    fc.record({ netFn: fc.nat(31).map((n) => n * 2), command: byte, data: fc.uint8Array({ maxLength: 60 }), sequence }),
    protocol.encodeRequest,
    protocol.decodeRequest,
  ),
  response: codec(
    fc.record({ netFn: fc.nat(31).map((n) => n * 2 + 1), command: byte, completionCode: byte, data: fc.uint8Array({ maxLength: 60 }), sequence }),
    protocol.encodeResponse,
    protocol.decodeResponse,
  ),
  'Open Session Request': codec(
    fc.record({ tag: byte, privilege: nibble, consoleSessionId: id, algorithms }),
    protocol.encodeOpenRequest,
    protocol.decodeOpenRequest,
  ),
  'Open Session Response': codec(
    fc.record({ tag: byte, status: status0, privilege: nibble, consoleSessionId: id, bmcSessionId: id, algorithms }),
    protocol.encodeOpenAnswer,
    protocol.decodeOpenAnswer,
  ),
  refusal: codec(
    fc.record({ tag: byte, status: fc.integer({ min: 1, max: 255 }), consoleSessionId: id }),
    protocol.encodeRefusal,
    protocol.decodeRakp2,
  ),
  'RAKP 1': codec(
    fc.record({ tag: byte, bmcSessionId: id, consoleRandom: bytes(16), role: byte, user: name }),
    protocol.encodeRakp1,
    protocol.decodeRakp1,
  ),
  'RAKP 2': codec(
    fc.record({ tag: byte, status: status0, consoleSessionId: id, bmcRandom: bytes(16), bmcGuid: bytes(16), authCode: bytes(32) }),
    protocol.encodeRakp2,
    protocol.decodeRakp2,
  ),
  'RAKP 3': codec(fc.record({ tag: byte, status: byte, bmcSessionId: id, authCode: bytes(20) }), protocol.encodeRakp3, protocol.decodeRakp3),
  'RAKP 4': codec(
    fc.record({ tag: byte, status: status0, consoleSessionId: id, integrityCode: bytes(12) }),
    protocol.encodeRakp4,
    protocol.decodeRakp4,
  ),
  'Get Channel Authentication Capabilities': codec(
    fc.record({ channel, privilege: nibble, isExtended: fc.boolean() }),
    protocol.encodeAuthCapabilitiesRequest,
    protocol.decodeAuthCapabilitiesRequest,
  ),
  'Authentication Capabilities of IPMI 2.0': codec(
    fc.record({
      channel,
      authTypes: fc.nat(63),
      speaksIpmi2: fc.constant(true),
      speaksIpmi15: fc.boolean(),
      hasBmcKey: fc.boolean(),
      isPerMessageOff: fc.boolean(),
    }),
    protocol.encodeAuthCapabilities,
    protocol.decodeAuthCapabilities,
  ),
  'Get Session Challenge': codec(fc.record({ authType: nibble, user: name }), protocol.encodeChallengeRequest, protocol.decodeChallengeRequest),
  'Session Challenge': codec(fc.record({ temporarySessionId: id, challenge: bytes(16) }), protocol.encodeChallenge, protocol.decodeChallenge),
  'Activate Session': codec(
    fc.record({ authType: nibble, privilege: nibble, challenge: bytes(16), consoleSequence: id }),
    protocol.encodeActivationRequest,
    protocol.decodeActivationRequest,
  ),
  'Activate Session answer': codec(
    fc.record({ authType: nibble, sessionId: id, bmcSequence: id, privilege: nibble }),
    protocol.encodeActivation,
    protocol.decodeActivation,
  ),
  'Close Session': codec(id, protocol.encodeCloseSession, protocol.decodeCloseSession),
  'Chassis Status': codec(
    fc.record({ isOn: fc.boolean(), hasPowerFault: fc.boolean(), hasControlFault: fc.boolean() }),
    protocol.encodeChassisStatus,
    protocol.decodeChassisStatus,
  ),
  'Set System Boot Options': codec(
    fc.record({ parameter: fc.nat(127), value: fc.uint8Array({ maxLength: 16 }) }),
    protocol.encodeBootOption,
    protocol.decodeBootOption,
  ),
  'Get System Boot Options': codec(fc.nat(127), protocol.encodeBootOptionQuery, protocol.decodeBootOptionQuery),
  'System Boot Options': codec(
    fc.record({ parameter: fc.nat(127), isInvalid: fc.boolean(), value: fc.uint8Array({ maxLength: 16 }) }),
    protocol.encodeBootOptionValue,
    protocol.decodeBootOptionValue,
  ),
  'boot flags': codec(
    fc.record({ isValid: fc.boolean(), isPersistent: fc.boolean(), isUefi: fc.boolean(), device: nibble }),
    protocol.encodeBootFlags,
    protocol.decodeBootFlags,
  ),
  'Get User Access': codec(fc.record({ channel, userId }), protocol.encodeUserOnChannel, protocol.decodeUserOnChannel),
  'User Access': codec(
    fc.record({ maxUsers: userId, enabledUsers: userId, fixedNames: userId, isMessagingOn: fc.boolean(), privilege: nibble }),
    protocol.encodeUserAccess,
    protocol.decodeUserAccess,
  ),
  'Set User Access': codec(
    fc.record({ channel, userId, isMessagingOn: fc.boolean(), privilege: nibble }),
    protocol.encodeUserAccessChange,
    protocol.decodeUserAccessChange,
  ),
  'Set User Name': codec(fc.record({ userId, name }), protocol.encodeSetUserName, protocol.decodeSetUserName),
  'User Name': codec(name, protocol.encodeUserName, protocol.decodeUserName),
  'Set User Password': codec(
    fc.oneof(
      fc.record({ userId, operation: fc.constantFrom(0 as const, 1 as const) }),
      fc.record({
        userId,
        operation: fc.constantFrom(2 as const, 3 as const),
        password: fc.record({ text: name, bytes: fc.constantFrom(16 as const, 20 as const) }),
      }),
    ),
    protocol.encodePasswordChange,
    protocol.decodePasswordChange,
  ),
  'Device ID': codec(
    fc.record({
      firmware: fc.tuple(fc.nat(127), byte).map(([major, minor]) => `${major}.${minor.toString(16).padStart(2, '0')}`),
      ipmiVersion: fc.constantFrom('2.0', '1.5'),
      manufacturerId: fc.nat(0xfffff),
      productId: fc.nat(65535),
    }),
    protocol.encodeDeviceId,
    protocol.decodeDeviceId,
  ),
  'Channel Info': codec(fc.record({ channel, medium: fc.nat(127), protocol: fc.nat(31) }), protocol.encodeChannelInfo, protocol.decodeChannelInfo),
  'Get LAN Configuration Parameters': codec(
    fc.record({ channel, parameter: byte }),
    protocol.encodeLanParameterQuery,
    protocol.decodeLanParameterQuery,
  ),
  'LAN Configuration Parameters': codec(fc.uint8Array({ maxLength: 18 }), protocol.encodeLanParameter, protocol.decodeLanParameter),
  'Set LAN Configuration Parameters': codec(
    fc.record({ channel, parameter: byte, value: fc.uint8Array({ maxLength: 18 }) }),
    protocol.encodeSetLanParameter,
    protocol.decodeSetLanParameter,
  ),
};

describe.each(Object.entries(CODECS))('%s', (_name, { values, encode, decode }) => {
  test('survives the wire', () => {
    fc.assert(
      fc.property(values, (value) => {
        // Through JSON: records of fast-check have no prototype, and what is read may be a Buffer.
        expect(plain(decode(encode(value)))).toEqual(plain(value));
      }),
    );
  });

  test('of any bytes is read, or a classified error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (given) => {
        try {
          decode(given);
        } catch (error) {
          expect(hasCode(error, 'SIDERO_IPMI_MALFORMED')).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, part: unknown) => (part instanceof Uint8Array ? Buffer.from(part).toString('hex') : part)));
}

describe('IPMI messages', () => {
  const response = protocol.encodeResponse({ netFn: 1, command: 1, completionCode: 0, data: Uint8Array.of(0x21, 0, 0), sequence: 7 });

  test('Get Chassis Status is what the specification says, byte for byte', () => {
    // 20h + 00h + E0h = 100h; 81h + 04h + 01h + 7Ah = 100h.
    const bytes = protocol.encodeRequest({ ...protocol.COMMAND.getChassisStatus, data: new Uint8Array(), sequence: 1 });
    expect([...bytes]).toEqual([0x20, 0x00, 0xe0, 0x81, 0x04, 0x01, 0x7a]);
  });

  test('one changed byte breaks a checksum', () => {
    fc.assert(
      fc.property(fc.nat(response.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const changed = response.map((value, index) => (index === at ? value ^ bits : value));
        expect(() => protocol.decodeResponse(changed)).toThrow(expect.objectContaining({ code: 'SIDERO_IPMI_MALFORMED' }));
      }),
    );
  });

  test('a request is no response, and the other way round', () => {
    expect(() => protocol.decodeRequest(response)).toThrow(/a response where a request belongs/);
    const request = protocol.encodeRequest({ netFn: 0, command: 1, data: new Uint8Array(), sequence: 1 });
    expect(() => protocol.decodeResponse(Buffer.concat([request]))).toThrow(/a request where a response belongs/);
  });

  test('the boot flags for one network boot are those of the original', () => {
    const once = { isValid: true, isPersistent: false, device: protocol.BOOT_DEVICE.pxe };
    expect([...protocol.encodeBootFlags({ ...once, isUefi: false })]).toEqual([0x80, 0x04, 0, 0, 0]);
    expect([...protocol.encodeBootFlags({ ...once, isUefi: true })]).toEqual([0xa0, 0x04, 0, 0, 0]);
  });
});
