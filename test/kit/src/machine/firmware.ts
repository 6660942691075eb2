import { askDhcp } from './dhcp.ts';
import type { Inventory } from './hardware.ts';
import type { Plane } from './machine.ts';
import type { States } from './state.ts';
import { downloadByTftp, sizeByTftp } from './tftp.ts';
import type { Link } from './udp.ts';

/** What the firmware of a machine works with. */
export interface FirmwareRun {
  readonly machine: string;
  readonly uuid: string;
  readonly mac: string;
  readonly inventory: Inventory;
  readonly hasIpxeRom: boolean;
  readonly plane: Plane & { readonly host: string };
  readonly link: Link;
  readonly states: States;
  /** Told when DHCP gives an address; what follows is sent from it. */
  readonly onAddress: (address: string) => void;
  readonly onProgress: (file: string, receivedBytes: number, totalBytes: number | undefined) => void;
  readonly signal: AbortSignal;
}

/** The boot file a DHCP server of the operator would name. */
function usualBootFile({ firmware, arch }: Inventory): string {
  if (firmware === 'bios') return 'undionly.kpxe';
  return arch === 'arm64' ? 'snp-arm64.efi' : 'snp.efi';
}

/**
 * Network boot as firmware does it: DHCP when there is some, then TFTP of the boot file. UEFI asks for the size first, and for windows of
 * four blocks; a BIOS does neither. With iPXE in its ROM the machine needs no boot file.
 * @throws SIDERO_MACHINE_DHCP_TIMEOUT, SIDERO_MACHINE_TFTP_FAILED, or the reason of the signal
 */
export async function loadBootFile(run: FirmwareRun): Promise<void> {
  const { file, link } = await configure(run);
  if (run.hasIpxeRom) return;
  const { plane, states, signal, machine } = run;
  states.enter('tftp', { detail: file, waitMs: 6000 });
  const isUefi = run.inventory.firmware === 'uefi';
  const download = { machine, host: plane.host, port: plane.tftp, file };
  if (isUefi) await sizeByTftp(download, link, signal);
  const onProgress = (receivedBytes: number, totalBytes: number | undefined) => run.onProgress(file, receivedBytes, totalBytes);
  await downloadByTftp({ ...download, onProgress, ...(isUefi && { windowSize: 4 }) }, link, signal);
}

/** The boot file, and the link with the machine's address. */
async function configure(run: FirmwareRun): Promise<{ readonly file: string; readonly link: Link }> {
  const { plane, link, machine, uuid, mac, inventory } = run;
  if (plane.dhcp === undefined) return { file: usualBootFile(inventory), link };
  run.states.enter('dhcp', { waitMs: 5000 });
  const lease = await askDhcp({ machine, uuid, mac, inventory, host: plane.host, port: plane.dhcp, random: link.random }, link, run.signal);
  if (lease.address === undefined) return { file: lease.bootFile, link };
  run.onAddress(lease.address);
  return { file: lease.bootFile, link: { ...link, address: lease.address } };
}
