import {
  addressBytes,
  addressOption,
  DHCP_MESSAGE,
  DHCP_OPTION,
  type DhcpPacket,
  decodeDhcp,
  encodeDhcp,
  messageTypeOf,
  textOption,
} from '@sidero/plugin-boot-ipxe';
import { failure } from '../errors.ts';
import type { Random } from '../random.ts';
import type { Inventory } from './hardware.ts';
import { type Link, UdpSocket } from './udp.ts';

/** Who asks, and where. */
export interface DhcpRequest {
  /** For messages. */
  readonly machine: string;
  readonly uuid: string;
  readonly mac: string;
  readonly inventory: Inventory;
  readonly host: string;
  /** Port of the server. */
  readonly port: number;
  readonly random: Random;
  /** Silence after which the last packet is sent again. Default 1000 ms. */
  readonly timeoutMs?: number;
}

/** What DHCP told the machine. */
export interface DhcpLease {
  /** Undefined from a proxy, which gives no addresses. */
  readonly address: string | undefined;
  readonly bootFile: string;
  readonly tftpServer: string;
}

const ATTEMPTS = 5;
const UNSPECIFIED = '0.0.0.0';

/**
 * DISCOVER and OFFER, then REQUEST and ACK when the offer is an address, as PXE firmware does (RFC 2131, RFC 4578). Packets go
 * to the server itself: on loopback there is no broadcast.
 * @throws SIDERO_MACHINE_DHCP_TIMEOUT, or the reason of the signal
 */
export async function askDhcp(request: DhcpRequest, link: Link, signal: AbortSignal): Promise<DhcpLease> {
  await using socket = await UdpSocket.open(link, signal);
  const transaction = request.random.between(0, 0xffff_ffff);
  const ask = (type: number, more: readonly (readonly [number, Uint8Array])[] = []) =>
    exchange(socket, { request, packet: packetOf(request, { transaction, type, more }) });
  const offer = await ask(DHCP_MESSAGE.discover);
  if (offer.yiaddr === UNSPECIFIED) return leaseOf(offer);
  const server = addressOption(offer, DHCP_OPTION.serverId) ?? offer.siaddr;
  const ack = await ask(DHCP_MESSAGE.request, [
    [DHCP_OPTION.requestedAddress, addressBytes(offer.yiaddr)],
    [DHCP_OPTION.serverId, addressBytes(server)],
  ]);
  return leaseOf(ack);
}

/** Sends a packet until the answer to it comes that names a boot file. */
async function exchange(socket: UdpSocket, given: { request: DhcpRequest; packet: DhcpPacket }): Promise<DhcpPacket> {
  const { request, packet } = given;
  const wanted = messageTypeOf(packet) === DHCP_MESSAGE.discover ? DHCP_MESSAGE.offer : DHCP_MESSAGE.ack;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    socket.send(encodeDhcp(packet), request.port, request.host);
    for (;;) {
      const datagram = await socket.receive(request.timeoutMs ?? 1000);
      if (!datagram) break;
      const answer = decoded(datagram.bytes);
      if (answer?.op === 'reply' && answer.transaction === packet.transaction && messageTypeOf(answer) === wanted && leaseOf(answer).bootFile !== '')
        return answer;
    }
  }
  throw failure('SIDERO_MACHINE_DHCP_TIMEOUT', { machine: request.machine, port: request.port, attempts: ATTEMPTS });
}

/** Firmware passes over what it cannot read. */
function decoded(bytes: Uint8Array): DhcpPacket | undefined {
  try {
    return decodeDhcp(bytes);
  } catch {
    return undefined;
  }
}

function leaseOf(answer: DhcpPacket): DhcpLease {
  return {
    address: answer.yiaddr === UNSPECIFIED ? undefined : answer.yiaddr,
    bootFile: textOption(answer, DHCP_OPTION.bootFile) ?? answer.bootFile,
    tftpServer: textOption(answer, DHCP_OPTION.tftpServer) ?? answer.siaddr,
  };
}

/** Client system architecture (RFC 4578). */
function architecture({ firmware, arch }: Inventory): number {
  if (firmware === 'bios') return 0;
  return arch === 'arm64' ? 11 : 7;
}

function packetOf(
  request: DhcpRequest,
  given: { readonly transaction: number; readonly type: number; readonly more: readonly (readonly [number, Uint8Array])[] },
): DhcpPacket {
  const type = architecture(request.inventory);
  return {
    op: 'request',
    hardwareType: 1,
    hardwareAddress: Buffer.from(request.mac.replaceAll(':', ''), 'hex'),
    hops: 0,
    transaction: given.transaction,
    seconds: 0,
    flags: 0x8000,
    ciaddr: UNSPECIFIED,
    yiaddr: UNSPECIFIED,
    siaddr: UNSPECIFIED,
    giaddr: UNSPECIFIED,
    serverName: '',
    bootFile: '',
    options: new Map<number, Uint8Array>([
      [DHCP_OPTION.messageType, Uint8Array.of(given.type)],
      ...given.more,
      [DHCP_OPTION.vendorClass, Buffer.from(`PXEClient:Arch:${String(type).padStart(5, '0')}:UNDI:003016`)],
      [DHCP_OPTION.architecture, Uint8Array.of(type >> 8, type & 0xff)],
      [DHCP_OPTION.machineId, Buffer.concat([Uint8Array.of(0), Buffer.from(request.uuid.replaceAll('-', ''), 'hex')])],
    ]),
  };
}
