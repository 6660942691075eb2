import { bootClientOf, bootOptions, bootTarget } from './boot-client.ts';
import { broadcastOf, contains, type Subnet } from './ipv4.ts';
import type { Lease } from './lease-book.ts';
import {
  addressBytes,
  addressOption,
  DHCP_MESSAGE,
  DHCP_OPTION,
  type DhcpPacket,
  hardwareAddressOf,
  longBytes,
  messageTypeOf,
  textOption,
} from './packet.ts';
import type { AddressPool, LeaseClient } from './pool.ts';

/** A DHCP server on one interface. */
export interface FullServer {
  readonly pool: AddressPool;
  readonly subnet: Subnet;
  readonly authority: string;
  readonly router: string | undefined;
  readonly dns: readonly string[];
  readonly leaseSeconds: number;
  /** Whether no other DHCP server is on the link: then wishes for addresses of other networks are refused, too. */
  readonly isAuthoritative: boolean;
}

/** What came of a packet. `changed` when the leases did. */
export type FullAnswer =
  | { readonly reply: DhcpPacket; readonly lease?: Lease; readonly changed: boolean }
  | { readonly reply: undefined; readonly reason: string; readonly changed: boolean; readonly isExhausted?: boolean };

const UNSPECIFIED = '0.0.0.0';

/** The answer of a DHCP server (RFC 2131, section 4.3). */
export function fullReply(request: DhcpPacket, server: FullServer): FullAnswer {
  const client = clientOf(request);
  if (request.op !== 'request' || client.mac === '') return ignored('it is no request of a client');
  if (request.giaddr !== UNSPECIFIED && !contains(server.subnet, request.giaddr)) return ignored('it is relayed from another network');
  switch (messageTypeOf(request)) {
    case DHCP_MESSAGE.discover:
      return discovered(request, client, server);
    case DHCP_MESSAGE.request:
      return requested(request, client, server);
    case DHCP_MESSAGE.decline:
      return declined(request, client, server);
    case DHCP_MESSAGE.release:
      server.pool.release(client, request.ciaddr);
      return { ...ignored('released'), changed: true };
    case DHCP_MESSAGE.inform:
      return contains(server.subnet, request.ciaddr)
        ? { reply: acknowledge(request, server, undefined), changed: false }
        : ignored('it informs of a foreign address');
    default:
      return ignored('it has no message type of a client');
  }
}

function discovered(request: DhcpPacket, client: LeaseClient, server: FullServer): FullAnswer {
  const lease = server.pool.offer(client, addressOption(request, DHCP_OPTION.requestedAddress));
  if (!lease) return { ...ignored('every address is taken'), isExhausted: true };
  return { reply: reply(request, server, { type: DHCP_MESSAGE.offer, lease }), lease, changed: false };
}

// The four states of a client: selecting has a server identifier, init-reboot a wish, renewing and rebinding an address of their own.
function requested(request: DhcpPacket, client: LeaseClient, server: FullServer): FullAnswer {
  const chosen = addressOption(request, DHCP_OPTION.serverId);
  const wish = addressOption(request, DHCP_OPTION.requestedAddress);
  if (chosen !== undefined && chosen !== server.subnet.address) {
    server.pool.forgetOffer(client);
    return ignored('the client chose another server');
  }
  const address = wish ?? request.ciaddr;
  const isOurs = chosen !== undefined || server.isAuthoritative || server.pool.gives(address);
  if (!isOurs || address === UNSPECIFIED) return ignored('it asks for an address that is not ours to judge');
  const lease = server.pool.bind(client, address);
  if (!lease) return { reply: refuse(request, server, `${address} is not free for you`), changed: false };
  return { reply: acknowledge(request, server, lease), lease, changed: true };
}

function declined(request: DhcpPacket, client: LeaseClient, server: FullServer): FullAnswer {
  const address = addressOption(request, DHCP_OPTION.requestedAddress);
  const isKnown = address !== undefined && server.pool.decline(client, address);
  return isKnown ? { ...ignored(`${address} is in use by a stranger`), changed: true } : ignored('it declines what it was not given');
}

/** The client by its identifier, else by its hardware address; an identifier that only repeats the hardware address is the same. */
export function clientOf(request: DhcpPacket): LeaseClient {
  const mac = hardwareAddressOf(request);
  const identifier = Buffer.from(request.options.get(DHCP_OPTION.clientId) ?? []).toString('hex');
  const isHardware = identifier === '' || identifier.slice(2) === mac.replaceAll(':', '');
  const hostname = textOption(request, DHCP_OPTION.hostname)
    ?.replace(/[^\w.-]/g, '')
    .slice(0, 63);
  return { id: isHardware ? `mac ${mac}` : `id ${identifier}`, mac, ...(hostname && { hostname }) };
}

function acknowledge(request: DhcpPacket, server: FullServer, lease: Lease | undefined): DhcpPacket {
  return { ...reply(request, server, { type: DHCP_MESSAGE.ack, lease }), ciaddr: request.ciaddr };
}

function refuse(request: DhcpPacket, server: FullServer, reason: string): DhcpPacket {
  const options = new Map<number, Uint8Array>([
    [DHCP_OPTION.messageType, Uint8Array.of(DHCP_MESSAGE.nak)],
    [DHCP_OPTION.serverId, addressBytes(server.subnet.address)],
    [DHCP_OPTION.message, Buffer.from(reason)],
  ]);
  return { ...head(request), ...echoed(request, options) };
}

function reply(request: DhcpPacket, server: FullServer, given: { readonly type: number; readonly lease: Lease | undefined }): DhcpPacket {
  const { address, netmask } = server.subnet;
  const client = bootClientOf(request);
  const target = client && bootTarget(client, { address, authority: server.authority });
  const options = new Map<number, Uint8Array>([
    [DHCP_OPTION.messageType, Uint8Array.of(given.type)],
    [DHCP_OPTION.serverId, addressBytes(address)],
    ...(given.lease ? leaseOptions(server.leaseSeconds) : []),
    [DHCP_OPTION.subnetMask, addressBytes(netmask)],
    [DHCP_OPTION.broadcast, addressBytes(broadcastOf(server.subnet))],
    ...(server.router ? [[DHCP_OPTION.router, addressBytes(server.router)] as const] : []),
    ...(server.dns.length > 0 ? [[DHCP_OPTION.dns, addressBytes(...server.dns)] as const] : []),
    ...(target ? bootOptions(target) : []),
    // HTTP boot firmware takes an offer only from one that says it is an HTTP client's.
    ...(client?.firmware.startsWith('http') && !client.isIpxe ? [[DHCP_OPTION.vendorClass, Buffer.from('HTTPClient')] as const] : []),
    // We are the only server: without this (no proxy DHCP) iPXE waits 3 s for another one.
    ...(client?.isIpxe ? [[DHCP_OPTION.ipxe, Uint8Array.of(176, 1, 1)] as const] : []),
  ]);
  const boot = target ? { siaddr: address, serverName: target.tftpServer ?? '', bootFile: target.file } : {};
  return { ...head(request), yiaddr: given.lease?.address ?? UNSPECIFIED, ...boot, ...echoed(request, options) };
}

function leaseOptions(seconds: number): [number, Uint8Array][] {
  return [
    [DHCP_OPTION.leaseTime, longBytes(seconds)],
    [DHCP_OPTION.renewalTime, longBytes(Math.floor(seconds / 2))],
    [DHCP_OPTION.rebindingTime, longBytes(Math.floor((seconds * 7) / 8))],
  ];
}

function head(request: DhcpPacket): DhcpPacket {
  return {
    ...request,
    op: 'reply',
    hops: 0,
    seconds: 0,
    ciaddr: UNSPECIFIED,
    yiaddr: UNSPECIFIED,
    siaddr: UNSPECIFIED,
    serverName: '',
    bootFile: '',
    options: new Map(),
  };
}

// Client identifier (RFC 6842), machine identifier, and what the relay wants back, which is last (RFC 3046).
function echoed(request: DhcpPacket, options: Map<number, Uint8Array>): { options: Map<number, Uint8Array> } {
  for (const option of [DHCP_OPTION.clientId, DHCP_OPTION.machineId, DHCP_OPTION.relayAgent]) {
    const value = request.options.get(option);
    if (value) options.set(option, value);
  }
  return { options };
}

function ignored(reason: string): Extract<FullAnswer, { reply: undefined }> {
  return { reply: undefined, reason, changed: false };
}
