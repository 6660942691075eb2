import { aMachine, type MachineFixture } from '../machine.fixture.ts';
import { type AtaCommand, type BlockDevice, DiskError, type NvmeCommand } from './block-device.ts';

/** A disk in memory, with what it can do and what is wrong with it. */
export interface DiskFixture {
  readonly bytes: Buffer;
  sectorBytes: number;
  canDiscard: boolean;
  /** What a discarded range reads as; undefined: as before. */
  discardedAs: number | undefined;
  canZeroOut: boolean;
  /** Throws for this range's first byte and after, with this code. */
  failsAt: number | undefined;
  /** Takes writes, and keeps what it had. */
  isLying: boolean;
  /** Refused at opening, with this code. */
  refuses: string | undefined;
  /** Called before each request that changes something. */
  onWrite: (what: string) => void | Promise<void>;
  nvme: (command: NvmeCommand) => Uint8Array;
  ata: (command: AtaCommand) => Uint8Array;
  readonly asked: string[];
  opened: number;
}

/** A disk full of data. */
export function aDisk(sizeBytes: number, overrides: Partial<DiskFixture> = {}): DiskFixture {
  const bytes = Buffer.alloc(sizeBytes, Buffer.from(Array.from({ length: 251 }, (_, at) => at + 1)));
  const refused = (): never => {
    throw new DiskError('ENOTTY', 'does not take such commands: it cannot do that (ENOTTY)');
  };
  const disk: DiskFixture = {
    bytes,
    sectorBytes: 512,
    canDiscard: true,
    discardedAs: 0,
    canZeroOut: true,
    failsAt: undefined,
    isLying: false,
    refuses: undefined,
    onWrite: () => undefined,
    nvme: refused,
    ata: refused,
    asked: [],
    opened: 0,
  };
  return Object.assign(disk, overrides);
}

/** The disk as an open device. */
export function opened(disk: DiskFixture): BlockDevice {
  const change = async (what: string, given: { offset: number; length: number; value: number | undefined }) => {
    const { offset, length, value } = given;
    await disk.onWrite(what);
    disk.asked.push(what);
    if (disk.failsAt !== undefined && offset + length > disk.failsAt)
      throw new DiskError('EIO', `cannot be written at byte ${offset}: input/output error (EIO)`);
    if (value !== undefined && !disk.isLying) disk.bytes.fill(value, offset, offset + length);
  };
  const unsupported = () => Promise.reject(new DiskError('EOPNOTSUPP', 'it cannot do that (EOPNOTSUPP)'));
  disk.opened += 1;
  return {
    sizeBytes: disk.bytes.length,
    sectorBytes: disk.sectorBytes,
    read: async (offset, length) => Uint8Array.from(disk.bytes.subarray(offset, offset + length)),
    writeZeros: (offset, length) => change('write', { offset, length, value: 0 }),
    discard: (offset, length) => (disk.canDiscard ? change('discard', { offset, length, value: disk.discardedAs }) : unsupported()),
    zeroOut: (offset, length) => (disk.canZeroOut ? change('zeroOut', { offset, length, value: 0 }) : unsupported()),
    flush: async () => void disk.asked.push('flush'),
    rereadPartitions: async () => void disk.asked.push('rereadPartitions'),
    nvmeAdmin: async (command) => disk.nvme(command),
    ata: async (command) => disk.ata(command),
    [Symbol.asyncDispose]: async () => {
      disk.opened -= 1;
    },
  };
}

/** A machine with these disks, by the kernel's name; serial numbers are `S-<name>`. */
export function aMachineWith(disks: Readonly<Record<string, DiskFixture>>): MachineFixture {
  const files = Object.entries(disks).flatMap(([name, { bytes }]) => [
    [`/sys/block/${name}/size`, String(bytes.length / 512)],
    [`/sys/block/${name}/ro`, '0'],
    [`/sys/block/${name}/serial`, `S-${name}`],
    ...(/^nvme\d+n(\d+)$/.test(name) ? [[`/sys/block/${name}/nsid`, name.split('n').at(-1)!]] : []),
  ]);
  return aMachine(Object.fromEntries(files), {
    openDisk: async (path) => {
      const disk = disks[path.replace('/dev/', '')];
      if (!disk || disk.refuses) throw new DiskError(disk?.refuses ?? 'ENOENT', 'cannot be opened: it is in use (EBUSY)');
      return opened(disk);
    },
  });
}
