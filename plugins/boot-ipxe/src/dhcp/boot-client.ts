import { DHCP_OPTION, type DhcpPacket } from './packet.ts';

/** What boots on the other side. */
export interface BootClient {
  readonly firmware: 'bios' | 'uefi-amd64' | 'uefi-arm64' | 'http-amd64' | 'http-arm64';
  /** iPXE itself, from a boot file of ours or burnt into the NIC. */
  readonly isIpxe: boolean;
}

// Processor architecture types of RFC 4578, by IANA's registry.
const FIRMWARES: Readonly<Record<number, BootClient['firmware']>> = {
  0: 'bios',
  6: 'uefi-amd64',
  7: 'uefi-amd64',
  9: 'uefi-amd64',
  11: 'uefi-arm64',
  15: 'http-amd64',
  16: 'http-amd64',
  19: 'http-arm64',
};

/** The firmware that sent the packet; undefined when it does not network-boot, or in no way we serve. Of several types the last we know counts. */
export function bootClientOf(packet: DhcpPacket): BootClient | undefined {
  const types = Buffer.from(packet.options.get(DHCP_OPTION.architecture) ?? []);
  let firmware: BootClient['firmware'] | undefined;
  for (let at = 0; at + 1 < types.length; at += 2) firmware = FIRMWARES[types.readUInt16BE(at)] ?? firmware;
  return firmware && hasUsableMachineId(packet) ? { firmware, isIpxe: isIpxe(packet) } : undefined;
}

/** Where a machine goes on: the boot file, and the TFTP server when the file is not a URL. */
export function bootTarget(
  client: BootClient,
  site: { readonly address: string; readonly authority: string },
): { readonly file: string; readonly tftpServer?: string } {
  // Its script is the same from every build of iPXE, so that also one without ours embedded finds us.
  if (client.isIpxe) return { file: `http://${site.authority}/boot.ipxe` };
  switch (client.firmware) {
    case 'bios':
      return { file: 'undionly.kpxe', tftpServer: site.address };
    case 'uefi-amd64':
      return { file: 'snp.efi', tftpServer: site.address };
    case 'uefi-arm64':
      return { file: 'snp-arm64.efi', tftpServer: site.address };
    case 'http-amd64':
      return { file: `http://${site.authority}/tftp/snp.efi` };
    case 'http-arm64':
      return { file: `http://${site.authority}/tftp/snp-arm64.efi` };
  }
}

/** Options 66 and 67. */
export function bootOptions(target: ReturnType<typeof bootTarget>): [number, Buffer][] {
  const server: [number, Buffer][] = target.tftpServer ? [[DHCP_OPTION.tftpServer, Buffer.from(target.tftpServer)]] : [];
  return [...server, [DHCP_OPTION.bootFile, Buffer.from(target.file)]];
}

// User class (RFC 3004: texts after their length; many send the bare text), or iPXE's own encapsulated options.
function isIpxe(packet: DhcpPacket): boolean {
  const userClass = Buffer.from(packet.options.get(DHCP_OPTION.userClass) ?? []);
  const first = userClass[0] === 4 ? userClass.subarray(1, 5) : userClass;
  return first.toString('latin1') === 'iPXE' || packet.options.has(DHCP_OPTION.ipxe);
}

// PXE's machine identifier is absent, or a GUID after a zero.
function hasUsableMachineId(packet: DhcpPacket): boolean {
  const id = packet.options.get(DHCP_OPTION.machineId);
  return !id || (id.length === 17 && id[0] === 0);
}
