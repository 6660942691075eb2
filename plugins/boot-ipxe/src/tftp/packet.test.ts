import { hasCode } from '@sidero/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeTftp, encodeTftp, type TftpPacket } from './packet.ts';

const text = fc.string({ unit: 'binary', minLength: 1 }).filter((value) => !value.includes('\0') && value.isWellFormed());
const options = fc
  .array(
    fc.tuple(
      text.map((name) => name.toLowerCase()),
      text,
    ),
  )
  .map((entries) => new Map(entries));
const word = fc.nat(65535);
const packets: fc.Arbitrary<TftpPacket> = fc.oneof(
  fc.record({ op: fc.constantFrom('read' as const, 'write' as const), file: text, mode: text.map((mode) => mode.toLowerCase()), options }),
  fc.record({ op: fc.constant('data' as const), block: word, data: fc.uint8Array().map((bytes) => Buffer.from(bytes)) }),
  fc.record({ op: fc.constant('ack' as const), block: word }),
  fc.record({ op: fc.constant('error' as const), code: word, message: text }),
  fc.record({ op: fc.constant('oack' as const), options: options.filter(({ size }) => size > 0) }),
);

describe('TFTP packets', () => {
  test('every packet survives the wire', () => {
    fc.assert(
      fc.property(packets, (packet) => {
        expect(decodeTftp(encodeTftp(packet))).toEqual(packet);
      }),
    );
  });

  test('any bytes are a packet or a classified error', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.tuple(fc.integer({ min: 0, max: 8 }), fc.uint8Array({ maxLength: 100 })).map(([opcode, rest]) => Uint8Array.from([0, opcode, ...rest])),
    );
    fc.assert(
      fc.property(bytes, (given) => {
        try {
          decodeTftp(given);
        } catch (error) {
          expect(hasCode(error, 'SIDERO_TFTP_MALFORMED')).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('option names lose their case, the first of two counts, and zeros at the end are padding', () => {
    const bytes = Buffer.from('\0\x01f\0OCTET\0BlkSize\x001432\0blksize\x00512\0\0', 'latin1');
    expect(decodeTftp(bytes)).toEqual({ op: 'read', file: 'f', mode: 'octet', options: new Map([['blksize', '1432']]) });
  });

  test.each([
    ['too short', Buffer.from([0, 4, 1])],
    ['no zero at the end', Buffer.from('\0\x01f\0octet')],
    ['no file', Buffer.from('\0\x01\0octet\0')],
    ['no mode', Buffer.from('\0\x01ff\0')],
    ['option without value', Buffer.from('\0\x01f\0octet\0blksize\0')],
    ['unknown opcode', Buffer.from([0, 9, 0, 0])],
  ])('a packet with a fault is refused: %s', (_fault, bytes) => {
    expect(() => decodeTftp(bytes)).toThrow(expect.objectContaining({ code: 'SIDERO_TFTP_MALFORMED' }));
  });
});
