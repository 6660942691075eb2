import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { decodeTftp, encodeTftp, type TftpPacket } from '@sidero/plugin-boot-ipxe';
import { hasCode } from '@sidero/core';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { downloadByTftp, sizeByTftp } from './tftp.ts';

const never = new AbortController().signal;
/** Where something gets lost. Where nothing does, nothing is to be sent again, however long this host is busy. */
const HASTY = { timeoutMs: 20 };
const link = (loss = 0, seed = 'tftp') => ({ address: '127.0.0.1', loss, random: seededRandom(seed) });
const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

/** A server that answers by `answer`; undefined is silence. */
async function aServer(answer: (packet: TftpPacket) => readonly (TftpPacket | Buffer)[]) {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  closing.push(() => socket.close());
  const heard: TftpPacket[] = [];
  socket.on('message', (bytes, from) => {
    const packet = decodeTftp(bytes);
    heard.push(packet);
    for (const reply of answer(packet)) socket.send(Buffer.isBuffer(reply) ? reply : encodeTftp(reply), from.port, from.address);
  });
  await once(socket, 'listening');
  return { heard, download: { machine: 'm', host: '127.0.0.1', port: socket.address().port, file: 'snp.efi', timeoutMs: 10_000 } };
}

/** Serves `file` in windows, and loses what `isLost` says. */
function serving(file: Buffer, isLost: () => boolean = () => false) {
  let terms = { blockSize: 512, windowSize: 1 };
  const block = (number: number): TftpPacket => ({
    op: 'data',
    block: number & 0xffff,
    data: file.subarray((number - 1) * terms.blockSize, number * terms.blockSize),
  });
  const last = () => Math.floor(file.length / terms.blockSize) + 1;
  return (packet: TftpPacket): readonly TftpPacket[] => {
    if (packet.op === 'read') {
      terms = { blockSize: Number(packet.options.get('blksize')), windowSize: Number(packet.options.get('windowsize') ?? 1) };
      return [{ op: 'oack', options: new Map([...packet.options, ['tsize', String(file.length)]]) }];
    }
    if (packet.op !== 'ack') return [];
    const window = Array.from({ length: terms.windowSize }, (_, index) => packet.block + 1 + index).filter((number) => number <= last());
    return window.map(block).filter(() => !isLost());
  };
}

const contents = (length: number) => Buffer.from(seededRandom('file', length).bytes(length));

test.each([0, 1, 1467, 1468, 1469, 70_000])('a file of %d bytes arrives as it is', async (length) => {
  const { download } = await aServer(serving(contents(length)));
  expect(Buffer.from(await downloadByTftp(download, link(), never)).equals(contents(length))).toBe(true);
});

test('a BIOS asks for blocks of 1468 and the size, in one request', async () => {
  const { download, heard } = await aServer(serving(contents(10)));
  await downloadByTftp(download, link(), never);
  expect(heard[0]).toEqual({
    op: 'read',
    file: 'snp.efi',
    mode: 'octet',
    options: new Map([
      ['tsize', '0'],
      ['blksize', '1468'],
    ]),
  });
});

test('in a window of four, one packet in four is acknowledged', async () => {
  const { download, heard } = await aServer(serving(contents(1468 * 8 + 1)));
  await downloadByTftp({ ...download, windowSize: 4 }, link(), never);
  const acknowledged = () => heard.flatMap((packet) => (packet.op === 'ack' ? [packet.block] : []));
  await expect.poll(acknowledged).toEqual([0, 4, 8, 9]);
});

test.each([1, 4, 16])('with window %d every tenth packet may get lost', async (windowSize) => {
  const random = seededRandom('server', windowSize);
  const { download } = await aServer(serving(contents(100_000), () => random.chance(0.1)));
  const file = await downloadByTftp({ ...download, ...HASTY, windowSize }, link(0.1, `loss ${windowSize}`), never);
  expect(Buffer.from(file).equals(contents(100_000))).toBe(true);
});

test('progress reaches the size that the server told', async () => {
  const { download } = await aServer(serving(contents(5000)));
  const seen: (number | undefined)[][] = [];
  await downloadByTftp({ ...download, onProgress: (...now) => seen.push(now) }, link(), never);
  expect(seen).toEqual([
    [1468, 5000],
    [2936, 5000],
    [4404, 5000],
    [5000, 5000],
  ]);
});

test('an error of the server ends the download with its text', async () => {
  const { download } = await aServer(() => [{ op: 'error', code: 1, message: 'File not found' }]);
  await expect(downloadByTftp(download, link(), never)).rejects.toThrow('error 1: File not found');
  await expect(sizeByTftp(download, link(), never)).rejects.toThrow('error 1: File not found');
});

test('a silent server is given up after seven requests', async () => {
  const { download, heard } = await aServer(() => []);
  await expect(downloadByTftp({ ...download, timeoutMs: 5 }, link(), never)).rejects.toThrow('no answer');
  await expect.poll(() => heard).toHaveLength(7);
});

test('UEFI learns the size, and refuses that transfer with error 8', async () => {
  const { download, heard } = await aServer(serving(contents(5000)));
  expect(await sizeByTftp(download, link(), never)).toBe(5000);
  await expect.poll(() => heard.at(-1)).toMatchObject({ op: 'error', code: 8 });
});

test('a machine that is switched off stops at once', async () => {
  const { download } = await aServer(() => []);
  const off = new AbortController();
  const running = downloadByTftp({ ...download, timeoutMs: 60_000 }, link(), off.signal);
  setImmediate(() => off.abort(new Error('off')));
  await expect(running).rejects.toThrow('off');
});

test('whatever a server answers, the download ends with an error of ours or a file', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }), async (answers) => {
      const queue = answers.map((bytes) => Buffer.from(bytes));
      const { download } = await aServer(() => queue.splice(0, 1));
      try {
        expect(await downloadByTftp({ ...download, timeoutMs: 1 }, link(), never)).toBeInstanceOf(Uint8Array);
      } catch (thrown) {
        expect(hasCode(thrown, 'SIDERO_MACHINE_TFTP_FAILED')).toBe(true);
      }
    }),
    { numRuns: 50 },
  );
});
