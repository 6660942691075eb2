import type { Inventory } from './hardware.ts';
import type { Plane } from './machine.ts';
import type { StateLog } from './state.ts';
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
  readonly states: StateLog;
  readonly onProgress: (file: string, receivedBytes: number, totalBytes: number | undefined) => void;
  readonly signal: AbortSignal;
}

/** The boot file a DHCP server of the operator would name. */
function usualBootFile({ firmware, arch }: Inventory): string {
  if (firmware === 'bios') return 'undionly.kpxe';
  return arch === 'arm64' ? 'snp-arm64.efi' : 'snp.efi';
}

/**
 * Network boot as firmware does it: DHCP when there is some, then TFTP of the boot file. UEFI asks for the size first, and for windows of four blocks; a BIOS does neither.
 * @throws SIDERO_MACHINE_DHCP_TIMEOUT, SIDERO_MACHINE_TFTP_FAILED, or the reason of the signal
 */
export async function loadBootFile(run: FirmwareRun): Promise<void> {
  const file = usualBootFile(run.inventory);
  const { plane, link, states, signal, machine } = run;
  if (run.hasIpxeRom) return;
  states.enter('tftp', { detail: file, waitMs: 6000 });
  const isUefi = run.inventory.firmware === 'uefi';
  const download = { machine, host: plane.host, port: plane.tftp, file };
  if (isUefi) await sizeByTftp(download, link, signal);
  const onProgress = (receivedBytes: number, totalBytes: number | undefined) => run.onProgress(file, receivedBytes, totalBytes);
  await downloadByTftp({ ...download, onProgress, ...(isUefi && { windowSize: 4 }) }, link, signal);
}
