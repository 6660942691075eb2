import { hasCode } from '@sidero/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressOption, DHCP_OPTION, type DhcpPacket, decodeDhcp, encodeDhcp, hardwareAddressOf, messageTypeOf, textOption } from './packet.ts';
import { aRequest } from './request.fixture.ts';

const bytes = (limits: { maxLength: number }) => fc.uint8Array(limits).map((value) => Buffer.from(value));
const fieldText = (maxLength: number) => fc.string({ unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)), maxLength });
const packets: fc.Arbitrary<DhcpPacket> = fc.record({
  op: fc.constantFrom('request' as const, 'reply' as const),
  hardwareType: fc.nat(255),
  hardwareAddress: bytes({ maxLength: 16 }),
  hops: fc.nat(255),
  transaction: fc.nat(0xffffffff),
  seconds: fc.nat(65535),
  flags: fc.nat(65535),
  ciaddr: fc.ipV4(),
  yiaddr: fc.ipV4(),
  siaddr: fc.ipV4(),
  giaddr: fc.ipV4(),
  serverName: fieldText(63),
  bootFile: fieldText(127),
  options: fc
    .array(
      fc.tuple(
        fc.integer({ min: 1, max: 254 }).filter((option) => option !== DHCP_OPTION.overload),
        bytes({ maxLength: 600 }),
      ),
      { maxLength: 8 },
    )
    .map((options) => new Map(options)),
});

describe('DHCP packets', () => {
  test('every packet survives the wire, long options too, in at least 300 bytes', () => {
    fc.assert(
      fc.property(packets, (packet) => {
        const wire = encodeDhcp(packet);
        expect(wire.length).toBeGreaterThanOrEqual(300);
        expect(decodeDhcp(wire)).toEqual(packet);
      }),
    );
  });

  test('any bytes are a packet or a classified error', () => {
    const head = encodeDhcp(aRequest()).subarray(0, 240);
    const wire = fc.oneof(
      bytes({ maxLength: 700 }),
      bytes({ maxLength: 300 }).map((options) => Buffer.concat([head, options])),
      fc.tuple(bytes({ maxLength: 192 }), bytes({ maxLength: 60 })).map(([fields, options]) => {
        const packet = Buffer.concat([head, Buffer.from([52, 1, 3]), options]);
        packet.set(fields, 44);
        return packet;
      }),
    );
    fc.assert(
      fc.property(wire, (given) => {
        try {
          decodeDhcp(given);
        } catch (error) {
          expect(hasCode(error, 'SIDERO_DHCP_MALFORMED')).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('options go on in the file and name fields when option 52 says so, and parts of one are joined', () => {
    const packet = encodeDhcp({
      ...aRequest(),
      options: new Map([
        [DHCP_OPTION.overload, Buffer.from([3])],
        [DHCP_OPTION.hostname, Buffer.from('a')],
      ]),
    });
    packet.set([12, 1, 98, 255], 108);
    packet.set([0, 0, 12, 1, 99, 255], 44);
    const decoded = decodeDhcp(packet);
    expect(textOption(decoded, DHCP_OPTION.hostname)).toBe('abc');
    expect(decoded).toMatchObject({ serverName: '', bootFile: '' });
    expect(decoded.options.has(DHCP_OPTION.overload)).toBe(false);
  });

  test('a packet without an end mark is let pass', () => {
    const packet = encodeDhcp(aRequest());
    const end = packet.lastIndexOf(255);
    expect(messageTypeOf(decodeDhcp(packet.subarray(0, end)))).toBe(1);
  });

  test.each([
    ['too short', (packet: Buffer) => packet.subarray(0, 239), '239 bytes are too few'],
    ['no cookie', (packet: Buffer) => packet.fill(0, 236, 240), 'it has no DHCP cookie'],
    ['unknown operation', (packet: Buffer) => packet.fill(7, 0, 1), 'operation 7 is unknown'],
    ['a hardware address that is too long', (packet: Buffer) => packet.fill(17, 2, 3), 'a hardware address of 17 bytes does not fit'],
    [
      'an option beyond the end',
      (packet: Buffer) => Buffer.concat([packet.subarray(0, 240), Buffer.from([12, 9, 65])]),
      'option 12 goes beyond the end',
    ],
    ['an option without a length', (packet: Buffer) => Buffer.concat([packet.subarray(0, 240), Buffer.from([12])]), 'option 12 goes beyond the end'],
  ])('a packet with a fault is refused: %s', (_fault, spoil, problem) => {
    const act = () => decodeDhcp(spoil(encodeDhcp(aRequest())));
    expect(act).toThrow(expect.objectContaining({ code: 'SIDERO_DHCP_MALFORMED', message: expect.stringContaining(problem) }));
  });

  test('values are read as what they are', () => {
    const packet = aRequest({ options: { 50: '0a000005', 12: Buffer.from('node\0x').toString('hex') } });
    expect(addressOption(packet, 50)).toBe('10.0.0.5');
    expect(addressOption(packet, 12)).toBeUndefined();
    expect(textOption(packet, 12)).toBe('node');
    expect(hardwareAddressOf(packet)).toBe('52:54:00:12:34:56');
  });
});
