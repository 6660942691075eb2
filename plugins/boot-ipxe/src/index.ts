/** @sidero/plugin-boot-ipxe: how a bare machine reaches us, and what it boots. */
export {
  addressBytes,
  addressOption,
  DHCP_MESSAGE,
  DHCP_OPTION,
  type DhcpOptions,
  type DhcpPacket,
  decodeDhcp,
  encodeDhcp,
  hardwareAddressOf,
  messageTypeOf,
  textOption,
} from './dhcp/packet.ts';
export { bootIpxe } from './plugin.ts';
export { bootstrapScript, renderBootScript } from './script.ts';
export { fetchOverTftp, type TftpFetch } from './tftp/client.ts';
export { decodeTftp, encodeTftp, TFTP_ERROR, type TftpOptions, type TftpPacket } from './tftp/packet.ts';
