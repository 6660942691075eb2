import type { NvmeCommand } from './block-device.ts';

/** struct nvme_admin_cmd of include/uapi/linux/nvme_ioctl.h. */
export const NVME_ADMIN_BYTES = 72;
const DEFAULT_TIMEOUT_MS = 60_000;

/** The request of NVME_IOCTL_ADMIN_CMD; `reply` is the address the device writes to. */
export function nvmeAdminStruct(
  { opcode, nsid = 0, cdw10 = 0, replyBytes = 0, timeoutMs = DEFAULT_TIMEOUT_MS }: NvmeCommand,
  reply: bigint,
): Uint8Array {
  const bytes = Buffer.alloc(NVME_ADMIN_BYTES);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt32LE(nsid, 4);
  if (replyBytes > 0) bytes.writeBigUInt64LE(reply, 24);
  bytes.writeUInt32LE(replyBytes, 36);
  bytes.writeUInt32LE(cdw10 >>> 0, 40);
  bytes.writeUInt32LE(timeoutMs, 64);
  return bytes;
}

/** Identify Controller (NVM Express Base 5.17.2.1, figure 276). */
export const identifyController: NvmeCommand = { opcode: 0x06, cdw10: 1, replyBytes: 4096 };

/** Identify Namespace. */
export function identifyNamespace(nsid: number): NvmeCommand {
  return { opcode: 0x06, nsid, cdw10: 0, replyBytes: 4096 };
}

/** The ways of a sanitize (SANACT); which there are is SANICAP. */
export type SanitizeAction = 'block erase' | 'crypto erase' | 'overwrite';
const SANITIZE: readonly { readonly action: SanitizeAction; readonly bit: number; readonly code: number }[] = [
  { action: 'block erase', bit: 1, code: 2 },
  { action: 'crypto erase', bit: 0, code: 4 },
  { action: 'overwrite', bit: 2, code: 3 },
];

/** What a controller can do, from the answer to Identify Controller. */
export interface ControllerAbilities {
  /** The best of those it has: erasing says more than forgetting a key, and overwriting wears. */
  readonly sanitize: SanitizeAction | undefined;
  readonly format: boolean;
  readonly cryptoFormat: boolean;
  /** Formatting one namespace formats them all. */
  readonly formatsAll: boolean;
}

export function controllerAbilities(identify: Uint8Array): ControllerAbilities {
  const bytes = Buffer.from(identify);
  const [oacs, sanicap, fna] = [bytes.readUInt16LE(256), bytes.readUInt32LE(328), bytes.readUInt8(524)];
  return {
    sanitize: SANITIZE.find(({ bit }) => (sanicap >>> bit) & 1)?.action,
    format: (oacs & 2) !== 0,
    cryptoFormat: (fna & 4) !== 0,
    formatsAll: (fna & 3) !== 0,
  };
}

/** Sanitize: one pass, allowed to end by itself. */
export function sanitizeCommand(action: SanitizeAction): NvmeCommand {
  const { code } = SANITIZE.find((one) => one.action === action)!;
  const onePass = action === 'overwrite' ? 1 << 4 : 0;
  return { opcode: 0x84, cdw10: code | onePass };
}

/** The sanitize status log (log 0x81). */
export const sanitizeLog: NvmeCommand = { opcode: 0x02, nsid: 0xffffffff, cdw10: 0x81 | ((512 / 4 - 1) << 16), replyBytes: 512 };

/** How far a sanitize is. */
export function sanitizeState(log: Uint8Array): { readonly state: 'none' | 'done' | 'running' | 'failed'; readonly share: number } {
  const bytes = Buffer.from(log);
  const state = (['none', 'done', 'running', 'failed', 'done'] as const)[bytes.readUInt16LE(2) & 7] ?? 'failed';
  return { state, share: state === 'running' ? bytes.readUInt16LE(0) / 0x10000 : 1 };
}

/** Format NVM of one namespace in the format it has, erasing user data; by its key where the controller can. `namespace` is the answer to Identify Namespace. */
export function formatCommand(nsid: number, namespace: Uint8Array, abilities: ControllerAbilities): NvmeCommand {
  const bytes = Buffer.from(namespace);
  const [flbas, protection] = [bytes.readUInt8(26), bytes.readUInt8(29)];
  const format = (flbas & 0xf) | (((flbas >> 5) & 3) << 12);
  const metadata = ((flbas >> 4) & 1) << 4;
  const kept = ((protection & 7) << 5) | (((protection >> 3) & 1) << 8);
  const erase = (abilities.cryptoFormat ? 2 : 1) << 9;
  return { opcode: 0x80, nsid, cdw10: format | metadata | kept | erase, timeoutMs: FORMAT_TIMEOUT_MS };
}

const FORMAT_TIMEOUT_MS = 4 * 60 * 60_000;

/** A status as the kernel hands it up: code type in bits 8 to 10, code in bits 0 to 7. */
export function nvmeStatusText(status: number): string {
  const [type, code] = [(status >> 8) & 7, status & 0xff];
  const known = STATUS[`${type}/${code}`];
  return `the controller refuses the command${known ? `: ${known}` : ''} (status type ${type}, code 0x${code.toString(16).padStart(2, '0')})`;
}

const STATUS: Readonly<Record<string, string>> = {
  '0/1': 'it does not know it',
  '0/2': 'a field is invalid',
  '0/11': 'the namespace is invalid',
  '0/28': 'a sanitize failed before',
  '0/29': 'a sanitize is going on',
  '0/32': 'the namespace is write-protected',
  '1/10': 'the format is invalid',
};
