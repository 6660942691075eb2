/** An open disk that nobody else uses. Offsets and lengths are bytes, multiples of `sectorBytes`. What fails throws a DiskError. */
export interface BlockDevice extends AsyncDisposable {
  readonly sizeBytes: number;
  readonly sectorBytes: number;
  /** At most 1 MiB, from the medium itself, not from a cache. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Writes zeros, at most 1 MiB, as any data is written. */
  writeZeros(offset: number, length: number): Promise<void>;
  /** Tells the device that a range is not needed. */
  discard(offset: number, length: number): Promise<void>;
  /** Has the kernel make a range zeros, by the fastest way that really writes them. */
  zeroOut(offset: number, length: number): Promise<void>;
  /** Until all is on the medium. */
  flush(): Promise<void>;
  /** Makes the kernel forget the partitions that were there. */
  rereadPartitions(): Promise<void>;
  /** One NVMe admin command; `data` is what the device wrote. @throws DiskError when the status is not 0 */
  nvmeAdmin(command: NvmeCommand): Promise<Uint8Array>;
  /** One ATA command through SCSI; `data` is what the device wrote. @throws DiskError */
  ata(command: AtaCommand): Promise<Uint8Array>;
}

/** An NVMe admin command (NVM Express Base, 3.3.3): what is not given is 0. */
export interface NvmeCommand {
  readonly opcode: number;
  readonly nsid?: number;
  readonly cdw10?: number;
  /** How much the device writes. */
  readonly replyBytes?: number;
  readonly timeoutMs?: number;
}

/** An ATA command (ACS-3) with at most one sector of data in one direction. */
export interface AtaCommand {
  readonly command: number;
  readonly receives?: boolean;
  /** 512 bytes to send. */
  readonly sends?: Uint8Array;
  readonly timeoutMs?: number;
}

/** Why a disk did not do what it was told; `code` is the kernel's word ("EOPNOTSUPP", "EBUSY"), or "STATUS" for the device's own refusal. */
export class DiskError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'DiskError';
    this.code = code;
  }
}

/** Whether a device or its driver cannot do a thing at all, as opposed to failing at it. */
export function isUnsupported(thrown: unknown): boolean {
  return thrown instanceof DiskError && ['EOPNOTSUPP', 'ENOTTY', 'EINVAL', 'ENOSYS'].includes(thrown.code);
}

/** Opens a disk for itself alone. @throws DiskError */
export type OpenDisk = (path: string) => Promise<BlockDevice>;
