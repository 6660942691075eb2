import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { fetchOverTftp } from './client.ts';
import { decodeTftp, encodeTftp, type TftpPacket } from './packet.ts';
import { type TftpRead, type TftpResult, TftpServer, type TftpServerOptions } from './server.ts';

const files = new Map<string, Buffer>();
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function aServer(options: Partial<TftpServerOptions> = {}) {
  const results: TftpResult[] = [];
  const reads: TftpRead[] = [];
  const defaults = {
    address: '127.0.0.1',
    port: 0,
    maxBlockSize: 65464,
    maxWindowSize: 64,
    // Where nothing gets lost nothing is to be sent again, however long this host is busy.
    timeoutMs: 60_000,
    retries: 6,
    maxTransfers: 100,
    maxTransfersPerAddress: 50,
  };
  const server = await TftpServer.start(
    { ...defaults, ...options },
    {
      open: async (file) => {
        if (file === 'broken') throw new Error('EIO: /secret/path');
        return files.get(file);
      },
      started: (read) => reads.push(read),
      progress: (read) => reads.push(read),
      ended: (result) => results.push(result),
    },
  );
  open.push(server);
  return { server, results, reads, port: server.port };
}

/** A client of single packets. */
async function aClient(port: number) {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const received: { packet: TftpPacket; from: RemoteInfo }[] = [];
  socket.on('message', (bytes, from) => received.push({ packet: decodeTftp(bytes), from }));
  open.push({ [Symbol.asyncDispose]: async () => void socket.close() });
  return {
    received,
    packets: () => received.map(({ packet }) => packet),
    send: (packet: TftpPacket | Buffer) => socket.send(Buffer.isBuffer(packet) ? packet : encodeTftp(packet), port, '127.0.0.1'),
    read(file: string, options: Record<string, string> = {}, mode = 'octet') {
      this.send({ op: 'read', file, mode, options: new Map(Object.entries(options)) });
    },
    got: (count: number) => expect.poll(() => received.length, { interval: 2 }).toBeGreaterThanOrEqual(count),
  };
}

/** Bytes that are different everywhere; the same for the same seed. */
function someBytes(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  const next = randomly(seed);
  for (let i = 0; i < length; i += 1) bytes[i] = next() * 256;
  return bytes;
}

function randomly(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Passes datagrams on in both directions and loses a share of them; each client gets a socket of its own. */
async function aLossyPath(port: number, loss: number, seed: number) {
  const lost = randomly(seed);
  const outer = createSocket('udp4').bind(0, '127.0.0.1');
  await once(outer, 'listening');
  const inner = new Map<number, Socket>();
  outer.on('message', (bytes, from) => {
    let socket = inner.get(from.port);
    if (!socket) {
      socket = createSocket('udp4').bind(0, '127.0.0.1');
      socket.on('message', (answer) => lost() >= loss && outer.send(answer, from.port, '127.0.0.1'));
      inner.set(from.port, socket);
    }
    if (lost() >= loss) socket.send(bytes, port, '127.0.0.1');
  });
  open.push({
    [Symbol.asyncDispose]: async () => {
      for (const socket of [outer, ...inner.values()]) socket.close();
    },
  });
  return outer.address().port;
}

files.set('f', someBytes(1200));
files.set('even', someBytes(1024));
files.set('empty', Buffer.alloc(0));
files.set('text', Buffer.from('a\nb\n'));
files.set('big', someBytes(300_000, 7));

describe('a read', () => {
  test('without options starts with block 1 of 512 bytes', async () => {
    const { port } = await aServer();
    const client = await aClient(port);
    client.read('f');
    await client.got(1);
    expect(client.packets()[0]).toEqual({ op: 'data', block: 1, data: files.get('f')!.subarray(0, 512) });
  });

  test('with options is answered by an OACK that block 1 follows once it is acknowledged', async () => {
    const { port } = await aServer();
    const client = await aClient(port);
    client.read('f', { blksize: '1432', tsize: '0' });
    await client.got(1);
    expect(client.packets()[0]).toEqual({
      op: 'oack',
      options: new Map([
        ['blksize', '1432'],
        ['tsize', '1200'],
      ]),
    });
    client.send({ op: 'ack', block: 0 });
    await client.got(2);
    expect(client.packets()[1]).toEqual({ op: 'data', block: 1, data: files.get('f') });
  });

  test('is answered from the port it was sent to', async () => {
    const { port } = await aServer();
    const client = await aClient(port);
    client.read('f');
    await client.got(1);
    client.send({ op: 'ack', block: 1 });
    await client.got(2);
    expect(client.received.map(({ from }) => from.port)).toEqual([port, port]);
  });

  test.each(['f', 'even', 'empty', 'big'])('fetches the file "%s" whole', async (file) => {
    const { port, results } = await aServer();
    expect(await fetchOverTftp({ host: '127.0.0.1', port, file })).toEqual(files.get(file));
    await expect.poll(() => results).toEqual(['done']);
  });

  test('in netascii has its line ends as CR LF', async () => {
    const { port } = await aServer();
    const client = await aClient(port);
    client.read('text', {}, 'NetASCII');
    await client.got(1);
    expect(client.packets()[0]).toEqual({ op: 'data', block: 1, data: Buffer.from('a\r\nb\r\n') });
  });

  test('tells its progress', async () => {
    const { port, reads } = await aServer();
    await fetchOverTftp({ host: '127.0.0.1', port, file: 'f' });
    await expect.poll(() => reads.map(({ sentBytes }) => sentBytes)).toEqual([0, 512, 1024, 1200]);
    expect(reads.at(-1)).toMatchObject({ file: 'f', address: '127.0.0.1', sentBytes: 1200, totalBytes: 1200 });
  });
});

describe('a refusal', () => {
  test('of a missing file is error 1 and shows no path of ours', async () => {
    const { port, results } = await aServer();
    const client = await aClient(port);
    client.read('../../etc/passwd');
    await client.got(1);
    expect(client.packets()).toEqual([{ op: 'error', code: 1, message: 'file not found' }]);
    expect(results).toEqual(['missing']);
  });

  test('of a file that cannot be read is error 0 and tells nothing of the cause', async () => {
    const { port, results } = await aServer();
    const client = await aClient(port);
    client.read('broken');
    await client.got(1);
    expect(client.packets()).toEqual([{ op: 'error', code: 0, message: 'the file cannot be read' }]);
    expect(results).toEqual(['failed']);
  });

  test('of a write is error 4', async () => {
    const { port } = await aServer();
    const client = await aClient(port);
    client.send({ op: 'write', file: 'f', mode: 'octet', options: new Map() });
    await client.got(1);
    expect(client.packets()).toEqual([{ op: 'error', code: 4, message: 'this server is read-only' }]);
  });

  test('a malformed packet is counted, not answered, and others go on', async () => {
    const { port, results } = await aServer();
    const client = await aClient(port);
    client.send(Buffer.from('\0\x01f'));
    client.send(Buffer.alloc(0));
    await expect.poll(() => results).toEqual(['malformed', 'malformed']);
    expect(await fetchOverTftp({ host: '127.0.0.1', port, file: 'f' })).toEqual(files.get('f'));
  });

  test('requests beyond the limit of an address are left to ask again', async () => {
    const { port, results } = await aServer({ maxTransfersPerAddress: 1 });
    const [first, second] = [await aClient(port), await aClient(port)];
    first.read('f');
    await first.got(1);
    second.read('f');
    await expect.poll(() => results).toEqual(['limited']);
    expect(second.received).toEqual([]);
    for (const [block, answers] of [
      [1, 2],
      [2, 3],
    ] as const) {
      first.send({ op: 'ack', block });
      await first.got(answers);
    }
    first.send({ op: 'ack', block: 3 });
    await expect.poll(() => results).toEqual(['limited', 'done']);
    second.read('f');
    await second.got(1);
  });
});

describe('a client in trouble', () => {
  test('that stops after tsize with error 8, as UEFI does, is no failure and may come again from the same port', async () => {
    const { port, results } = await aServer();
    const client = await aClient(port);
    client.read('f', { tsize: '0' });
    await client.got(1);
    client.send({ op: 'error', code: 8, message: 'User aborted the transfer' });
    client.read('f', { blksize: '1468' });
    await client.got(2);
    expect(results).toEqual(['declined']);
    expect(client.packets()[1]).toEqual({ op: 'oack', options: new Map([['blksize', '1468']]) });
  });

  test('that repeats its request gets the first answer again', async () => {
    const { port, reads } = await aServer();
    const client = await aClient(port);
    client.read('f', { tsize: '0' });
    await client.got(1);
    client.read('f', { tsize: '0' });
    await client.got(2);
    expect(client.packets()[1]).toEqual(client.packets()[0]);
    expect(reads).toHaveLength(1);
  });

  test('that asks for another file on the same port gets that one', async () => {
    const { port, results } = await aServer();
    const client = await aClient(port);
    client.read('f');
    await client.got(1);
    client.send({ op: 'ack', block: 1 });
    await client.got(2);
    client.read('even');
    await client.got(3);
    expect(results).toEqual(['aborted']);
    expect(client.packets()[2]).toEqual({ op: 'data', block: 1, data: files.get('even')!.subarray(0, 512) });
  });

  test('that acknowledges twice gets the next block once (no Sorcerer’s Apprentice)', async () => {
    const { port } = await aServer();
    const client = await aClient(port);
    client.read('f');
    await client.got(1);
    for (let i = 0; i < 5; i += 1) client.send({ op: 'ack', block: 1 });
    await client.got(2);
    client.send({ op: 'ack', block: 2 });
    await client.got(3);
    expect(client.packets().map((packet) => (packet.op === 'data' ? packet.block : packet.op))).toEqual([1, 2, 3]);
  });

  test('that misses a block of a window gets the window from there, once, however often it says so', async () => {
    const { port } = await aServer();
    const client = await aClient(port);
    client.read('big', { windowsize: '4' });
    await client.got(1);
    client.send({ op: 'ack', block: 0 });
    await client.got(5);
    client.send({ op: 'ack', block: 2 });
    for (let i = 0; i < 3; i += 1) client.send({ op: 'ack', block: 2 });
    await client.got(13);
    client.send({ op: 'ack', block: 6 });
    await client.got(17);
    expect(
      client
        .packets()
        .slice(1)
        .map((packet) => packet.op === 'data' && packet.block),
    ).toEqual([1, 2, 3, 4, 3, 4, 5, 6, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('that acknowledges what was never sent is not believed', async () => {
    const { port } = await aServer();
    const client = await aClient(port);
    client.read('f');
    await client.got(1);
    client.send({ op: 'ack', block: 3 });
    client.send({ op: 'ack', block: 1 });
    await client.got(2);
    expect(client.packets()[1]).toMatchObject({ op: 'data', block: 2 });
  });

  test('that falls silent gets the block again a few times and is given up', async () => {
    const { port, results } = await aServer({ timeoutMs: 5, retries: 3 });
    const client = await aClient(port);
    client.read('f');
    await expect.poll(() => results).toEqual(['silent']);
    // What is on its way to us by then is not here yet.
    await client.got(4);
    expect(client.packets().map((packet) => packet.op === 'data' && packet.block)).toEqual([1, 1, 1, 1]);
  });

  test('a late packet of a finished transfer is ignored', async () => {
    const { port, results } = await aServer();
    const client = await aClient(port);
    client.read('empty');
    await client.got(1);
    client.send({ op: 'ack', block: 1 });
    await expect.poll(() => results).toEqual(['done']);
    client.send({ op: 'ack', block: 1 });
    client.read('f');
    await client.got(2);
    expect(client.packets()[1]).toMatchObject({ op: 'data', block: 1 });
  });
});

describe('on a path that loses packets', () => {
  const kinds = [
    { windowSize: 1, blockSize: 512 },
    { windowSize: 16, blockSize: 1468 },
    { windowSize: 64, blockSize: 1468 },
  ];
  const losses = [0.01, 0.1].flatMap((loss) => kinds.map((kind) => ({ loss, ...kind })));
  test.each(losses)('$loss lost, window $windowSize: the file arrives whole', async ({ loss, ...kind }) => {
    const { port } = await aServer({ timeoutMs: 15, retries: 12 });
    const path = await aLossyPath(port, loss, 42);
    const fetched = await fetchOverTftp({ host: '127.0.0.1', port: path, file: 'big', timeoutMs: 20, retries: 12, ...kind });
    expect(fetched.equals(files.get('big')!)).toBe(true);
  });

  test('twenty clients at once all get the file', async () => {
    const { port } = await aServer({ timeoutMs: 15, retries: 12 });
    const path = await aLossyPath(port, 0.01, 3);
    const fetches = Array.from({ length: 20 }, () =>
      fetchOverTftp({ host: '127.0.0.1', port: path, file: 'big', timeoutMs: 20, retries: 12, windowSize: 8, blockSize: 1468 }),
    );
    for (const fetched of await Promise.all(fetches)) expect(fetched.equals(files.get('big')!)).toBe(true);
  });
});

test('a port in use is a clear error', async () => {
  const { port } = await aServer();
  await expect(aServer({ port })).rejects.toMatchObject({ code: 'SIDERO_LISTEN_FAILED' });
});
