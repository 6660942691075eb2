import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { argumentsOf, peersInDump } from './kernel.ts';
import { callUapi, deviceLines, peerLines, peersIn, setPeers } from './uapi.ts';

const KEY = Buffer.alloc(32, 7).toString('base64');
const HEX = '07'.repeat(32);
const path = join(tmpdir(), `uapi-${process.pid}.sock`);
let server: Server | undefined;
afterEach(async () => {
  server?.close();
  await rm(path, { force: true });
});

/** A device that treats each call as the next of `answers` says, or hangs up; gives what it was told. */
async function device(...answers: string[]): Promise<string[]> {
  const told: string[] = [];
  server = createServer((socket) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (!text.endsWith('\n\n')) return;
      told.push(text);
      const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
      if (answer === 'hangs up') socket.destroy();
      else socket.write(answer);
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((listening) => server!.listen(path, listening));
  return told;
}

describe("WireGuard's own protocol", () => {
  test('keys are in hex, and a machine has its one address', () => {
    expect(deviceLines({ privateKey: KEY, port: 51_821 })).toBe(`private_key=${HEX}\nlisten_port=51821\n`);
    expect(peerLines({ publicKey: KEY, remove: true })).toBe(`public_key=${HEX}\nremove=true\n`);
    expect(peerLines({ publicKey: KEY, address: 'fd00::5' })).toBe(`public_key=${HEX}\nreplace_allowed_ips=true\nallowed_ip=fd00::5/128\n`);
    expect(peerLines({ publicKey: KEY, address: 'fd00::5', endpoint: '10.0.0.7:51820', keepaliveSeconds: 1 })).toBe(
      `public_key=${HEX}\nreplace_allowed_ips=true\nallowed_ip=fd00::5/128\nendpoint=10.0.0.7:51820\npersistent_keepalive_interval=1\n`,
    );
  });

  test('peers are read with endpoint and last handshake', () => {
    const other = 'ff'.repeat(32);
    const answer = `private_key=${'01'.repeat(32)}\nlisten_port=51821\npublic_key=${HEX}\nendpoint=[fd00::9]:51820\nlast_handshake_time_sec=1700000000\nlast_handshake_time_nsec=500000000\nallowed_ip=fd00::5/128\nallowed_ip=fd01::/64\npublic_key=${other}\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\nerrno=0\n\n`;
    expect(peersIn(answer)).toEqual([
      { publicKey: KEY, addresses: ['fd00::5', 'fd01::/64'], endpoint: '[fd00::9]:51820', handshakeAt: new Date(1_700_000_000_500) },
      { publicKey: Buffer.from(other, 'hex').toString('base64'), addresses: [] },
    ]);
  });

  test('a call that is not answered is made again', async () => {
    const told = await device('hangs up', 'errno=0\n\n');
    await setPeers(path, [{ publicKey: KEY, remove: true }]);
    expect(told).toEqual(Array.from({ length: 2 }, () => `set=1\npublic_key=${HEX}\nremove=true\n\n`));
  });

  test('a refusal is an error that names the socket and no key', async () => {
    await device('errno=-22\n\n');
    const failed = callUapi(path, `set=1\nprivate_key=${HEX}\n`);
    await expect(failed).rejects.toMatchObject({ code: 'SIDERO_SIDEROLINK_TUNNEL_FAILED', message: expect.stringContaining('errno -22') as string });
    await failed.catch((thrown: Error) => expect(JSON.stringify([thrown.message, thrown])).not.toContain(HEX));
  });

  test('a socket that is not there is an error', async () => {
    await expect(callUapi(path, 'get=1\n')).rejects.toMatchObject({ code: 'SIDERO_SIDEROLINK_TUNNEL_FAILED' });
  });

  test('many peers go in several calls', async () => {
    const told = await device('errno=0\n\n');
    await setPeers(
      path,
      Array.from({ length: 2500 }, () => ({ publicKey: KEY, remove: true as const })),
    );
    expect(told.map((text) => text.split('public_key=').length - 1)).toEqual([1000, 1000, 500]);
  });
});

describe("the kernel's WireGuard, by wg", () => {
  test('a change names public things only', () => {
    expect(argumentsOf({ publicKey: KEY, remove: true })).toEqual(['peer', KEY, 'remove']);
    expect(argumentsOf({ publicKey: KEY, address: 'fd00::5', endpoint: '[fd00::9]:1', keepaliveSeconds: 0 })).toEqual([
      'peer',
      KEY,
      'allowed-ips',
      'fd00::5/128',
      'endpoint',
      '[fd00::9]:1',
      'persistent-keepalive',
      '0',
    ]);
  });

  test('peers are read from its dump', () => {
    const dump = `PRIVATE\tPUBLIC\t51821\toff\n${KEY}\t(none)\t10.0.0.7:51820\tfd00::5/128\t1700000000\t1\t2\toff\nAAAA\t(none)\t(none)\t(none)\t0\t0\t0\toff\n`;
    expect(peersInDump(dump)).toEqual([
      { publicKey: KEY, addresses: ['fd00::5'], endpoint: '10.0.0.7:51820', handshakeAt: new Date(1_700_000_000_000) },
      { publicKey: 'AAAA', addresses: [] },
    ]);
  });
});
