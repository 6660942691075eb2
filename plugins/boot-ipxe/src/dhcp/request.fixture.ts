import { DHCP_MESSAGE, DHCP_OPTION, type DhcpPacket } from './packet.ts';

/** A DISCOVER of a BIOS machine; `options` in hex, by number, over the message type. */
export function aRequest(
  given: Partial<Omit<DhcpPacket, 'options'>> & { type?: number; options?: Record<number, string>; mac?: string } = {},
): DhcpPacket {
  const { type = DHCP_MESSAGE.discover, options = {}, mac = '525400123456', ...rest } = given;
  return {
    op: 'request',
    hardwareType: 1,
    hardwareAddress: Buffer.from(mac, 'hex'),
    hops: 0,
    transaction: 0x01020304,
    seconds: 0,
    flags: 0,
    ciaddr: '0.0.0.0',
    yiaddr: '0.0.0.0',
    siaddr: '0.0.0.0',
    giaddr: '0.0.0.0',
    serverName: '',
    bootFile: '',
    ...rest,
    options: new Map<number, Uint8Array>([
      [DHCP_OPTION.messageType, Buffer.from([type])],
      ...Object.entries(options).map(([option, hex]) => [Number(option), Buffer.from(hex, 'hex')] as const),
    ]),
  };
}
