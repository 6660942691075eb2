import type { AtaCommand } from './block-device.ts';

/** struct sg_io_hdr of scsi/sg.h on a 64-bit machine. */
const HEADER_BYTES = 88;
const SENSE_BYTES = 64;
const SECTOR_BYTES = 512;
const DEFAULT_TIMEOUT_MS = 30_000;
const DIRECTION = { none: -1, send: -2, receive: -3 } as const;
/** Protocols of SAT-3's ATA PASS-THROUGH. */
const PROTOCOL = { none: 3, receive: 4, send: 5 } as const;

/** Addresses the kernel is handed. */
export interface ScsiAddresses {
  readonly block: bigint;
  readonly sense: bigint;
  readonly data: bigint;
}

/** An ATA command as ATA PASS-THROUGH (16) (SAT-3, 12.2.3), and the header of SG_IO that carries it. */
export function ataThroughScsi(command: AtaCommand, at: ScsiAddresses): { readonly header: Uint8Array; readonly block: Uint8Array } {
  const way = command.receives ? 'receive' : command.sends ? 'send' : 'none';
  const block = Buffer.alloc(16);
  block[0] = 0x85;
  block[1] = PROTOCOL[way] << 1;
  // The length is in the count field, in sectors; bit 3 is the direction.
  if (way !== 'none') block[2] = 0b0110 | (way === 'receive' ? 0b1000 : 0);
  block[6] = way === 'none' ? 0 : 1;
  block[14] = command.command;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeInt32LE('S'.charCodeAt(0), 0);
  header.writeInt32LE(DIRECTION[way], 4);
  header.writeUInt8(block.length, 8);
  header.writeUInt8(SENSE_BYTES, 9);
  if (way !== 'none') {
    header.writeUInt32LE(SECTOR_BYTES, 12);
    header.writeBigUInt64LE(at.data, 16);
  }
  header.writeBigUInt64LE(at.block, 24);
  header.writeBigUInt64LE(at.sense, 32);
  header.writeUInt32LE(command.timeoutMs ?? DEFAULT_TIMEOUT_MS, 40);
  return { header, block };
}

/** The header as the kernel filled it in, and the sense data. */
export interface ScsiExchange {
  readonly header: Uint8Array;
  readonly sense: Uint8Array;
}

/** What went wrong in an exchange, as a clause; undefined when it went well. */
export function scsiProblem({ header, sense }: ScsiExchange): string | undefined {
  const bytes = Buffer.from(header);
  const [status, host, driver] = [bytes.readUInt8(64), bytes.readUInt16LE(68), bytes.readUInt16LE(70) & 0xf];
  if (host === 3) return 'the disk did not answer in time';
  if (host !== 0) return `the controller failed (host status ${host})`;
  if (status === 0 && (driver === 0 || driver === 8)) return undefined;
  const key = senseKey(sense);
  if (key === 0x5) return 'the disk, or its controller, does not know the command';
  if (key === 0xb) return 'the disk aborted the command';
  return `the disk refused the command (status ${status}, sense key ${key})`;
}

// Descriptor format (0x72, 0x73) has the key in its second byte, fixed format in its third.
function senseKey(sense: Uint8Array): number {
  const isDescriptor = ((sense[0] ?? 0) & 0x7e) === 0x72;
  return (sense[isDescriptor ? 1 : 2] ?? 0) & 0xf;
}
