import { close, constants, fsync, open, read, write } from 'node:fs';
import { promisify } from 'node:util';
import type koffiModule from 'koffi';
import { ataThroughScsi, type ScsiExchange, scsiProblem } from './ata-through-scsi.ts';
import { type AtaCommand, type BlockDevice, DiskError, type NvmeCommand } from './block-device.ts';
import { nvmeAdminStruct, nvmeStatusText } from './nvme-commands.ts';

/** Requests of include/uapi/linux/fs.h, nvme_ioctl.h and scsi/sg.h on a 64-bit machine. */
const IOCTL = {
  rereadPartitions: 0x125f,
  sectorBytes: 0x1268,
  discard: 0x1277,
  zeroOut: 0x127f,
  sizeBytes: 0x80081272,
  nvmeAdmin: 0xc0484e41,
  scsi: 0x2285,
} as const;

const PAGE_BYTES = 4096;
/** The largest read or write at once. */
export const TRANSFER_BYTES = 1024 * 1024;
// Where things lie in the memory of a device: arguments of ioctls, then a page that devices write to and we send from, then data.
const ARGUMENT = 0;
const COMMAND = 512;
const SENSE = 1024;
const REPLY = PAGE_BYTES;
const DATA = 2 * PAGE_BYTES;
const ZEROS = DATA + TRANSFER_BYTES;
const MEMORY_BYTES = ZEROS + TRANSFER_BYTES;

const openFile = promisify(open);
const closeFile = promisify(close);
const flushFile = promisify(fsync);
const readFile = promisify(read);
const writeFile = promisify(write);

type Koffi = typeof koffiModule;
type Ioctl = (request: number, argument: bigint) => Promise<number>;

/**
 * Opens a disk of this machine for itself alone. Whatever takes time runs on threads of its own (libuv's), so neither a slow disk nor a dead
 * one holds up the calls of the agent.
 */
export async function openLinuxDisk(path: string): Promise<BlockDevice> {
  const { default: koffi } = await import('koffi');
  const fd = await openExclusively(path);
  try {
    return await LinuxBlockDevice.of(koffi, fd);
  } catch (thrown) {
    await closeFile(fd);
    throw thrown;
  }
}

// Exclusively: refused while the disk is mounted, swapped to, or part of something. Directly: what is read back comes from the disk.
async function openExclusively(path: string): Promise<number> {
  const flags = constants.O_RDWR | constants.O_EXCL;
  try {
    return await openFile(path, flags | constants.O_DIRECT);
  } catch (thrown) {
    if (codeOf(thrown) !== 'EINVAL') throw diskError(thrown, 'cannot be opened');
  }
  return openFile(path, flags).catch((thrown: unknown) => {
    throw diskError(thrown, 'cannot be opened');
  });
}

class LinuxBlockDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly sectorBytes: number;
  readonly #fd: number;
  readonly #ioctl: Ioctl;
  readonly #memory: Memory;
  // The memory holds one request at a time.
  #queue: Promise<unknown> = Promise.resolve();

  static async of(koffi: Koffi, fd: number): Promise<LinuxBlockDevice> {
    const memory = new Memory(koffi);
    try {
      const ioctl = ioctlOn(koffi, fd);
      await ioctl(IOCTL.sizeBytes, memory.at(ARGUMENT));
      const sizeBytes = Number(memory.bytes.readBigUInt64LE(ARGUMENT));
      await ioctl(IOCTL.sectorBytes, memory.at(ARGUMENT));
      return new LinuxBlockDevice({ fd, ioctl, memory, sizeBytes, sectorBytes: memory.bytes.readUInt32LE(ARGUMENT) });
    } catch (thrown) {
      memory.free();
      throw thrown;
    }
  }

  private constructor(given: { fd: number; ioctl: Ioctl; memory: Memory; sizeBytes: number; sectorBytes: number }) {
    this.#fd = given.fd;
    this.#ioctl = given.ioctl;
    this.#memory = given.memory;
    this.sizeBytes = given.sizeBytes;
    this.sectorBytes = given.sectorBytes;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.#alone(async ({ bytes }) => {
      const { bytesRead } = await readFile(this.#fd, bytes, DATA, length, offset).catch(rethrown(`cannot be read at byte ${offset}`));
      if (bytesRead !== length) throw new DiskError('EIO', `ends at byte ${offset + bytesRead}`);
      return Uint8Array.from(bytes.subarray(DATA, DATA + length));
    });
  }

  writeZeros(offset: number, length: number): Promise<void> {
    return this.#alone(async ({ bytes }) => {
      const { bytesWritten } = await writeFile(this.#fd, bytes, ZEROS, length, offset).catch(rethrown(`cannot be written at byte ${offset}`));
      if (bytesWritten !== length) throw new DiskError('EIO', `took ${bytesWritten} of ${length} bytes at byte ${offset}`);
    });
  }

  discard(offset: number, length: number): Promise<void> {
    return this.#range(IOCTL.discard, { offset, length, what: 'cannot be discarded' });
  }

  zeroOut(offset: number, length: number): Promise<void> {
    return this.#range(IOCTL.zeroOut, { offset, length, what: 'cannot be zeroed' });
  }

  flush(): Promise<void> {
    return flushFile(this.#fd).catch(rethrown('cannot be flushed'));
  }

  rereadPartitions(): Promise<void> {
    return this.#alone(async () => void (await this.#ioctl(IOCTL.rereadPartitions, 0n).catch(rethrown('keeps its partitions'))));
  }

  nvmeAdmin(command: NvmeCommand): Promise<Uint8Array> {
    return this.#alone(async (memory) => {
      const { replyBytes = 0 } = command;
      memory.bytes.fill(0, REPLY, REPLY + PAGE_BYTES);
      memory.bytes.set(nvmeAdminStruct(command, memory.at(REPLY)), ARGUMENT);
      const status = await this.#ioctl(IOCTL.nvmeAdmin, memory.at(ARGUMENT)).catch(rethrown('does not take NVMe commands'));
      if (status !== 0) throw new DiskError('STATUS', nvmeStatusText(status));
      return Uint8Array.from(memory.bytes.subarray(REPLY, REPLY + replyBytes));
    });
  }

  ata(command: AtaCommand): Promise<Uint8Array> {
    return this.#alone(async (memory) => {
      const { header, block } = ataThroughScsi(command, { block: memory.at(COMMAND), sense: memory.at(SENSE), data: memory.at(REPLY) });
      memory.bytes.fill(0, REPLY, REPLY + PAGE_BYTES);
      memory.bytes.set(command.sends ?? [], REPLY);
      memory.bytes.set(block, COMMAND);
      memory.bytes.set(header, ARGUMENT);
      await this.#ioctl(IOCTL.scsi, memory.at(ARGUMENT)).catch(rethrown('does not take ATA commands'));
      const answer: ScsiExchange = { header: memory.bytes.subarray(ARGUMENT, COMMAND), sense: memory.bytes.subarray(SENSE, SENSE + 64) };
      const problem = scsiProblem(answer);
      if (problem) throw new DiskError('STATUS', problem);
      return Uint8Array.from(memory.bytes.subarray(REPLY, REPLY + (command.receives ? 512 : 0)));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.catch(() => undefined);
    this.#memory.free();
    await closeFile(this.#fd);
  }

  #range(request: number, given: { offset: number; length: number; what: string }): Promise<void> {
    const { offset, length, what } = given;
    return this.#alone(async (memory) => {
      memory.bytes.writeBigUInt64LE(BigInt(offset), ARGUMENT);
      memory.bytes.writeBigUInt64LE(BigInt(length), ARGUMENT + 8);
      await this.#ioctl(request, memory.at(ARGUMENT)).catch(rethrown(`${what} at byte ${offset}`));
    });
  }

  #alone<T>(work: (memory: Memory) => Promise<T>): Promise<T> {
    const done = this.#queue.catch(() => undefined).then(() => work(this.#memory));
    this.#queue = done;
    return done;
  }
}

/** Memory outside the heap, page by page: the kernel is handed addresses into it, and writes past its cache only from whole pages. */
class Memory {
  readonly bytes: Buffer;
  readonly #koffi: Koffi;
  readonly #block: unknown;
  readonly #address: bigint;

  constructor(koffi: Koffi) {
    this.#koffi = koffi;
    this.#block = koffi.alloc('uint8_t', MEMORY_BYTES + PAGE_BYTES);
    const start = koffi.address(this.#block);
    const shift = Number(-start & BigInt(PAGE_BYTES - 1));
    this.#address = start + BigInt(shift);
    this.bytes = Buffer.from(koffi.view(this.#block, MEMORY_BYTES + PAGE_BYTES), shift, MEMORY_BYTES).fill(0);
  }

  at(offset: number): bigint {
    return this.#address + BigInt(offset);
  }

  free(): void {
    this.#koffi.free(this.#block);
  }
}

function ioctlOn(koffi: Koffi, fd: number): Ioctl {
  const ioctl = koffi.load('libc.so.6').func('int ioctl(int fd, unsigned long request, uint64_t argument)');
  return (request, argument) =>
    new Promise((resolve, reject) => {
      ioctl.async(fd, request, argument, (error: Error | null, result: number) => {
        // Of this very call: koffi carries it over from the thread.
        const errno = koffi.errno();
        if (error) return reject(error);
        if (result < 0) return reject(new DiskError(nameOfErrno(koffi, errno), nameOfErrno(koffi, errno)));
        resolve(result);
      });
    });
}

function nameOfErrno(koffi: Koffi, errno: number): string {
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
  // One number with two names.
  return name === 'ENOTSUP' ? 'EOPNOTSUPP' : name;
}

function rethrown(what: string): (thrown: unknown) => never {
  return (thrown) => {
    throw diskError(thrown, what);
  };
}

function diskError(thrown: unknown, what: string): DiskError {
  const code = codeOf(thrown);
  return new DiskError(code, `${what}: ${WORDS[code] ?? (thrown instanceof Error ? thrown.message : String(thrown))}`);
}

/** What the kernel's words mean for a disk. */
const WORDS: Readonly<Record<string, string>> = {
  EBUSY: 'it is in use (EBUSY)',
  EIO: 'input/output error (EIO)',
  ENXIO: 'the device is gone (ENXIO)',
  ENOENT: 'there is no such device (ENOENT)',
  EOPNOTSUPP: 'it cannot do that (EOPNOTSUPP)',
  EROFS: 'it is read-only (EROFS)',
  EACCES: 'it is read-only (EACCES)',
  EPERM: 'it is write-protected (EPERM)',
};

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : 'EIO';
}
