import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ServerKind } from '@sidero/core';
import { seededRandom, type TestSidero, testSidero } from '@sidero/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';

let sidero: TestSidero;
const sockets: Socket[] = [];
beforeEach(async () => {
  sidero = await testSidero();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await sidero.close();
});

/** Other machines must not notice: one boots from nothing, in the time machines always take. */
async function expectOthersBoot(seed: string): Promise<void> {
  await sidero.machine({ seed }).bootTo('accepted', AbortSignal.timeout(15_000));
}

/** Sends raw bytes to the API port; resolves with what came back once the server closes, or after `patienceMs`. */
async function send(bytes: string | Uint8Array, patienceMs = 15_000): Promise<string> {
  const socket = connect(sidero.ports.http, '127.0.0.1');
  sockets.push(socket);
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk.toString('latin1'))).on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes);
  await Promise.race([once(socket, 'close'), new Promise((resolve) => setTimeout(resolve, patienceMs).unref())]);
  return answer;
}

const noise = (...seed: (string | number)[]) => {
  const random = seededRandom(...seed);
  return random.bytes(random.between(1, 600));
};

test('noise on the TFTP port', async () => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  for (let index = 0; index < 500; index++) socket.send(noise('tftp', index), sidero.ports.tftp, '127.0.0.1');
  const requests = [
    '../../etc/passwd',
    'undionly.kpxe\x00octet\x00blksize\x00-1\x00',
    `${'x'.repeat(600)}\x00octet\x00`,
    'snp.efi\x00octet\x00blksize\x00999999999999\x00tsize\x00x\x00',
    '\x00\x00\x00',
  ];
  for (const request of requests)
    socket.send(Buffer.concat([Buffer.from([0, 1]), Buffer.from(`${request}\x00octet\x00`)]), sidero.ports.tftp, '127.0.0.1');
  await expectOthersBoot('tftp-noise');
  socket.close();
});

test('a client that asks for a boot file and never acknowledges', async () => {
  const clients = await Promise.all(
    Array.from({ length: 60 }, async () => {
      const socket = createSocket('udp4').bind(0, '127.0.0.1');
      await once(socket, 'listening');
      socket.send(Buffer.from('\x00\x01snp.efi\x00octet\x00blksize\x001468\x00windowsize\x0064\x00'), sidero.ports.tftp, '127.0.0.1');
      return socket;
    }),
  );
  await expectOthersBoot('tftp-mute');
  for (const client of clients) client.close();
});

test.runIf(process.platform === 'linux')('noise on the DHCP port', async () => {
  await using served = await testSidero({ dhcp: 'full' });
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const cookie = Buffer.from('63825363', 'hex');
  for (let index = 0; index < 500; index++) {
    const bytes = noise('dhcp', index);
    // Half of it has a header that is right, so that the noise reaches the options.
    const packet = index % 2 === 0 ? bytes : Buffer.concat([Buffer.from([1, 1, 6, 0]), Buffer.alloc(232), cookie, bytes]);
    socket.send(packet, served.ports.dhcp!, '127.0.0.1');
  }
  await served.machine({ seed: 'dhcp-noise' }).bootTo('accepted', AbortSignal.timeout(15_000));
  socket.close();
});

test('noise on the HTTP and gRPC port', async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => send(noise('http', index), 200)));
  for (const answer of answers) expect(answer === '' || answer.startsWith('HTTP/1.1 4')).toBe(true);
  await expectOthersBoot('http-noise');
});

test('an HTTP/2 preface followed by noise', async () => {
  await Promise.all(
    Array.from({ length: 20 }, (_, index) => send(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), noise('h2', index)]), 200)),
  );
  await expectOthersBoot('h2-noise');
});

test('gRPC whose message is noise is refused as a status, and the connection lives', async () => {
  const { Client, credentials, Metadata } = await import('@grpc/grpc-js');
  const client = new Client(`127.0.0.1:${sidero.ports.http}`, credentials.createInsecure());
  const call = (path: string, bytes: Uint8Array) =>
    new Promise<number>((resolve) => {
      client.makeUnaryRequest(
        path,
        (value: Uint8Array) => Buffer.from(value),
        (value: Buffer) => value,
        bytes,
        new Metadata(),
        { deadline: Date.now() + 15_000 },
        (error) => resolve(error?.code ?? 0),
      );
    });
  for (let index = 0; index < 20; index++) expect(await call('/api.Agent/CreateServer', noise('grpc', index))).not.toBe(0);
  expect(await call('/api.Agent/NoSuchMethod', Buffer.alloc(0))).toBe(12);
  expect(await call('/api.Agent/CreateServer', Buffer.alloc(8_000_000))).not.toBe(0);
  client.close();
  await expectOthersBoot('grpc-noise');
});

test('200 half-open connections', async () => {
  const kinds = ['', 'P', 'PRI * HTT', 'GET /ipxe HTTP/1.1\r\nHost: x\r\n', 'POST /ipxe HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nx'];
  await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const socket = connect(sidero.ports.http, '127.0.0.1');
      sockets.push(socket);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(kinds[index % kinds.length]!);
    }),
  );
  await expectOthersBoot('half-open');
});

test.each([
  ['a URL of 100 KB', `/ipxe?uuid=${'a'.repeat(100_000)}`],
  ['a URL of 8 KB', `/ipxe?uuid=${'a'.repeat(8000)}`],
  ['1,000 parameters', `/ipxe?${Array.from({ length: 1000 }, (_, index) => `${index}=1`).join('&')}`],
  ['percent signs that encode nothing', '/ipxe?uuid=%%%zz&mac=%e0%a4%a'],
  ['a path out of the folder', '/env/..%2f..%2f..%2fetc/passwd'],
  ['a path with a NUL', '/env/agent-amd64/vmlinuz%00'],
])('%s is answered with a status below 500', async (_what, path) => {
  const answer = await send(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 [234]\d\d /);
  expect(answer).not.toContain('root:');
  await expectOthersBoot('queries');
});

test.each([
  'null',
  '{}',
  "'; drop",
  '../../x',
  '4C4C4544-0038-4810-8052-B4C04F4C4232',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '%0akernel%20evil',
  '${uuid}',
])('a boot script for the uuid %j is a script, and makes no Server', async (uuid) => {
  const answer = await fetch(`${sidero.url}/ipxe?uuid=${uuid}&mac=%0d%0aevil&arch=vax`, { headers: { 'user-agent': 'iPXE/1.21.1' } });
  const body = await answer.text();
  expect(body).toMatch(/^#!ipxe\n/);
  expect(body.split('\n').filter((line) => line.startsWith('kernel '))).toHaveLength(1);
  expect(body).not.toContain('evil');
  expect(await sidero.resources.list(ServerKind, {}, { live: true })).toEqual([]);
});
