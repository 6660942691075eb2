import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { freePorts, isFree } from './free-ports.ts';

const inAnotherProcess = async (calls: number): Promise<number[]> => {
  const program = `
    import { freePorts } from ${JSON.stringify(new URL('free-ports.ts', import.meta.url).href)};
    const blocks = await Promise.all(Array.from({ length: ${calls} }, () => freePorts(1)));
    console.log(JSON.stringify(blocks.flat()));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=source', '--input-type=module', '-e', program]);
  return JSON.parse(stdout) as number[];
};

test('ports follow one another, and lie below those that connections start from', async () => {
  const ports = await freePorts(6);
  expect(ports).toEqual(ports.map((_, index) => ports[0]! + index));
  const [first = 0] = (await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')).split(/\s+/).map(Number);
  expect(ports.at(-1)).toBeLessThan(first);
});

test('nobody gets the same ones twice, in another process neither', async () => {
  const here = (await Promise.all(Array.from({ length: 700 }, () => freePorts(1)))).flat();
  const there = await inAnotherProcess(700);
  expect(new Set([...here, ...there]).size).toBe(1400);
});

test('what somebody listens on is not free: TCP or UDP, on whatever address', async () => {
  const [tcpPort, udpPort, unused] = (await freePorts(3)) as [number, number, number];
  await using _server = createServer().listen(tcpPort, '127.0.0.1');
  await using socket = createSocket('udp4').bind(udpPort, '127.0.0.5');
  await once(socket, 'listening');
  expect(await Promise.all([tcpPort, udpPort, unused].map(isFree))).toEqual([false, false, true]);
});
