import { bootClientOf, bootOptions, bootTarget } from './boot-client.ts';
import { addressBytes, DHCP_MESSAGE, DHCP_OPTION, type DhcpPacket, messageTypeOf } from './packet.ts';

/** We, as a proxy tells of us. */
export interface ProxySite {
  /** Our address on the interface. */
  readonly address: string;
  /** `host:port` of HTTP. */
  readonly authority: string;
}

/**
 * The answer of a proxy DHCP server (PXE 2.1): what to boot, and no address. An offer to a DISCOVER; an acknowledgement to what comes
 * to the boot service port, 4011. Undefined when the packet is not for a proxy.
 */
export function proxyReply(request: DhcpPacket, site: ProxySite, isBootService: boolean): DhcpPacket | undefined {
  const type = messageTypeOf(request);
  const asks = isBootService ? type === DHCP_MESSAGE.request || type === DHCP_MESSAGE.inform : type === DHCP_MESSAGE.discover;
  const client = bootClientOf(request);
  if (request.op !== 'request' || !asks || !client) return undefined;
  const copied = (option: number): [number, Uint8Array][] => (request.options.has(option) ? [[option, request.options.get(option)!]] : []);
  return {
    ...request,
    op: 'reply',
    hops: 0,
    seconds: 0,
    ciaddr: '0.0.0.0',
    yiaddr: '0.0.0.0',
    siaddr: site.address,
    serverName: '',
    bootFile: '',
    options: new Map<number, Uint8Array>([
      [DHCP_OPTION.messageType, Uint8Array.of(isBootService ? DHCP_MESSAGE.ack : DHCP_MESSAGE.offer)],
      [DHCP_OPTION.serverId, addressBytes(site.address)],
      [DHCP_OPTION.vendorClass, request.options.get(DHCP_OPTION.vendorClass) ?? Buffer.from('PXEClient')],
      ...copied(DHCP_OPTION.clientId),
      ...bootOptions(bootTarget(client, site)),
      ...copied(DHCP_OPTION.relayAgent),
      ...copied(DHCP_OPTION.machineId),
    ]),
  };
}
