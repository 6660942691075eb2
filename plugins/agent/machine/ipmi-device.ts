import { closeSync, openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { IpmiRequest } from './machine.ts';

/**
 * Linux' IPMI interface (include/uapi/linux/ipmi.h) on a 64-bit machine. All of a request lies in one block of memory outside the
 * heap, because the kernel is handed addresses into it.
 */
const DEVICE = '/dev/ipmi0';
const SEND_COMMAND = 0x8028690d;
const RECEIVE_TRUNCATED = 0xc030690b;
const SYSTEM_INTERFACE_ADDRESS = 0x0c;
const BMC_CHANNEL = 0x0f;

// Where things lie in the block. struct ipmi_req is 40 bytes, struct ipmi_recv 48.
const BLOCK_BYTES = 512;
const REQUEST = 0;
const RECEIVED = 64;
const ADDRESS = 128;
const ADDRESS_BYTES = 8;
const REPLY_ADDRESS = 160;
const REPLY_ADDRESS_BYTES = 32;
const DATA = 192;
const DATA_LIMIT = 64;
const REPLY = 256;
const REPLY_LIMIT = 256;

// The driver itself gives a BMC 5 s, and then answers in its place.
const ANSWER_TIMEOUT_MS = 6000;
const LOOK_AGAIN_MS = 5;

/** Sends one request to the BMC of this machine and waits up to 6 s for its answer, completion code first. Undefined when there is no device or no answer. */
export async function askIpmi(request: IpmiRequest): Promise<Uint8Array | undefined> {
  let fd: number;
  try {
    fd = openSync(DEVICE, 'r+');
  } catch {
    return undefined;
  }
  // Only machines with a BMC pay for loading it.
  const { default: koffi } = await import('koffi');
  const block: unknown = koffi.alloc('uint8_t', BLOCK_BYTES);
  try {
    const ioctl: Ioctl = koffi.load('libc.so.6').func('int ioctl(int fd, unsigned long request, uint64_t argument)');
    return await exchange((code, argument) => ioctl(fd, code, argument), request, {
      at: koffi.address(block),
      memory: Buffer.from(koffi.view(block, BLOCK_BYTES)),
    });
  } finally {
    koffi.free(block);
    closeSync(fd);
  }
}

interface Block {
  readonly at: bigint;
  readonly memory: Buffer;
}

type Ioctl = (fd: number, code: number, argument: bigint) => number;
type Control = (code: number, argument: bigint) => number;

async function exchange(control: Control, request: IpmiRequest, block: Block): Promise<Uint8Array | undefined> {
  writeRequest(block, request);
  if (control(SEND_COMMAND, block.at + BigInt(REQUEST)) !== 0) return undefined;
  for (let waitedMs = 0; waitedMs < ANSWER_TIMEOUT_MS; waitedMs += LOOK_AGAIN_MS) {
    prepareReply(block);
    // The device says "try again" until the answer is there.
    if (control(RECEIVE_TRUNCATED, block.at + BigInt(RECEIVED)) === 0) return replyOf(block);
    await pause(LOOK_AGAIN_MS);
  }
  return undefined;
}

function writeRequest({ at, memory }: Block, { netFn, command, data }: IpmiRequest): void {
  memory.fill(0);
  memory.writeInt32LE(SYSTEM_INTERFACE_ADDRESS, ADDRESS);
  memory.writeInt16LE(BMC_CHANNEL, ADDRESS + 4);
  memory.set(data.slice(0, DATA_LIMIT), DATA);
  memory.writeBigUInt64LE(at + BigInt(ADDRESS), REQUEST);
  memory.writeUInt32LE(ADDRESS_BYTES, REQUEST + 8);
  memory.writeBigInt64LE(1n, REQUEST + 16);
  memory.writeUInt8(netFn, REQUEST + 24);
  memory.writeUInt8(command, REQUEST + 25);
  memory.writeUInt16LE(data.length, REQUEST + 26);
  memory.writeBigUInt64LE(at + BigInt(DATA), REQUEST + 32);
}

function prepareReply({ at, memory }: Block): void {
  memory.writeBigUInt64LE(at + BigInt(REPLY_ADDRESS), RECEIVED + 8);
  memory.writeUInt32LE(REPLY_ADDRESS_BYTES, RECEIVED + 16);
  memory.writeUInt16LE(REPLY_LIMIT, RECEIVED + 34);
  memory.writeBigUInt64LE(at + BigInt(REPLY), RECEIVED + 40);
}

function replyOf({ memory }: Block): Uint8Array {
  const length = Math.min(memory.readUInt16LE(RECEIVED + 34), REPLY_LIMIT);
  return Uint8Array.from(memory.subarray(REPLY, REPLY + length));
}
