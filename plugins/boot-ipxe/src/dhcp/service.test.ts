import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerEvent } from '@sidero/core';
import { freePorts } from '@sidero/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { failure } from '../errors.ts';
import { aSidero } from '../sidero.fixture.ts';
import type { Subnet } from './ipv4.ts';
import { type DhcpOptionsOfInterface, dhcpOptions, dhcpServices } from './links.ts';
import { addressBytes, DHCP_MESSAGE, type DhcpPacket, decodeDhcp, encodeDhcp, messageTypeOf, textOption } from './packet.ts';
import { aRequest } from './request.fixture.ts';
import { dhcpService } from './service.ts';

const { discover, offer, request, ack } = DHCP_MESSAGE;
let dataDir: string;
let stop: AbortController;
let running: Promise<void>[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'dhcp-'));
  stop = new AbortController();
  running = [];
});
afterEach(async () => {
  stop.abort();
  await Promise.all(running);
  await rm(dataDir, { recursive: true });
});

const full: DhcpOptionsOfInterface = dhcpOptions.parse({ mode: 'full', interface: 'lo', range: ['127.9.0.10', '127.9.0.11'] });
const proxy: DhcpOptionsOfInterface = dhcpOptions.parse({ mode: 'proxy', interface: 'lo' });

async function start(interfaces: readonly DhcpOptionsOfInterface[]) {
  const events: ServerEvent[] = [];
  const sidero = aSidero({ dataDir, stream: (event) => void events.push(event) });
  const [server = 0, client = 0, bootService = 0] = await freePorts(3);
  const ports = { server, client, bootService };
  for (const service of dhcpServices(sidero, interfaces, ports)) await begin(service.run.bind(service));
  return { ports, sidero, events };
}

async function begin(run: (signal: AbortSignal, ready: () => void) => Promise<void>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const end = run(stop.signal, resolve);
    running.push(end);
    end.catch(reject);
  });
}

/** Sends a packet from 127.0.0.1 and waits for what comes back. */
async function ask(packet: DhcpPacket | Buffer, port: number): Promise<DhcpPacket> {
  const socket = createSocket('udp4');
  const bytes = Buffer.isBuffer(packet) ? packet : encodeDhcp(packet);
  // The interface opens a moment after the service is ready.
  const again = setInterval(() => socket.send(bytes, port, '127.0.0.1'), 50);
  socket.send(bytes, port, '127.0.0.1');
  try {
    const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(15_000) })) as [Buffer];
    return decodeDhcp(answer);
  } finally {
    clearInterval(again);
    socket.close();
  }
}

describe('on an interface named for it', () => {
  test('a machine gets an address, and it is on disk before the machine hears of it', async () => {
    const { ports } = await start([full]);
    const offered = await ask(aRequest({ type: discover, options: { 93: '0000' } }), ports.server);
    expect([messageTypeOf(offered), offered.yiaddr, offered.bootFile]).toEqual([offer, '127.9.0.10', 'undionly.kpxe']);
    const given = await ask(aRequest({ type: request, options: { 50: addressBytes('127.9.0.10').toString('hex'), 54: '7f000001' } }), ports.server);
    expect([messageTypeOf(given), given.yiaddr]).toEqual([ack, '127.9.0.10']);
    expect(JSON.parse(await readFile(join(dataDir, 'dhcp-leases.json'), 'utf8'))).toMatchObject({
      interfaces: { lo: [{ address: '127.9.0.10', state: 'bound' }] },
    });
  });

  test('a proxy offers at port 67 and acknowledges at 4011', async () => {
    const { ports } = await start([proxy]);
    const offered = await ask(aRequest({ type: discover, options: { 93: '0007' } }), ports.server);
    expect([messageTypeOf(offered), offered.yiaddr, textOption(offered, 67)]).toEqual([offer, '0.0.0.0', 'snp.efi']);
    const acknowledged = await ask(aRequest({ type: request, options: { 93: '0007' } }), ports.bootService);
    expect(messageTypeOf(acknowledged)).toBe(ack);
  });

  test('a malformed packet is counted and the next is answered', async () => {
    const { ports, sidero } = await start([proxy]);
    // Once it answers, its interface is open.
    await ask(aRequest({ options: { 93: '0007' } }), ports.server);
    const socket = createSocket('udp4');
    socket.send(Buffer.from('nonsense'), ports.server, '127.0.0.1', () => socket.close());
    await expect.poll(() => sidero.metrics.text()).toContain('sidero_dhcp_packets_total{message="none",result="malformed"} 1');
    await ask(aRequest({ options: { 93: '0007' } }), ports.server);
  });

  test('a machine that asks is told as seen', async () => {
    const { ports, events } = await start([proxy]);
    await ask(aRequest({ options: { 93: '0007' } }), ports.server);
    expect(events[0]).toMatchObject({ type: 'seen', wire: 'dhcp', mac: '52:54:00:12:34:56', address: '127.0.0.1', detail: 'discover' });
  });

  test('exhaustion is an error in the log and a metric', async () => {
    const { ports, sidero } = await start([full]);
    for (const mac of ['020000000001', '020000000002']) await ask(aRequest({ mac }), ports.server);
    const socket = createSocket('udp4');
    socket.send(encodeDhcp(aRequest({ mac: '020000000003' })), ports.server, '127.0.0.1', () => socket.close());
    await expect.poll(() => sidero.metrics.text()).toMatch(/sidero_dhcp_exhausted_total\{interface="lo"\} 1/);
    expect(sidero.lines().some((line) => line.includes('no DHCP address is free'))).toBe(true);
  });

  test('a lease file that cannot be read is put aside', async () => {
    await writeFile(join(dataDir, 'dhcp-leases.json'), 'nonsense');
    const { ports } = await start([full]);
    await ask(aRequest(), ports.server);
    expect(await readFile(join(dataDir, 'dhcp-leases.json.unreadable'), 'utf8')).toBe('nonsense');
  });
});

test('no interface named, no service', () =>
  expect(dhcpServices(aSidero({ dataDir }), [], { server: 67, client: 68, bootService: 4011 })).toEqual([]));

test('a missing interface is logged once, waited for, and answered on when it comes', async () => {
  const sidero = aSidero({ dataDir });
  const [server = 0, client = 0, bootService = 0] = await freePorts(3);
  const ports = { server, client, bootService };
  let subnets: readonly Subnet[] = [];
  let looks = 0;
  const link = {
    interface: 'br7',
    ports: [ports.server],
    open(found: readonly Subnet[]) {
      const [subnet] = found;
      if (!subnet) throw failure('SIDERO_DHCP_INTERFACE_MISSING', { interface: 'br7', problem: 'is not there', remedy: 'make it' });
      return { subnet, responder: { answer: (packet: DhcpPacket) => ({ reply: { ...packet, op: 'reply' as const }, log: {} }) } };
    },
  };
  const subnetsOf = () => {
    looks += 1;
    return subnets;
  };
  const service = dhcpService(sidero, { name: 'dhcp', where: 'every', ports, links: [link], subnetsOf, lookMs: 5 });
  await begin(service.run.bind(service));
  await expect.poll(() => looks).toBeGreaterThan(3);
  expect(sidero.lines().filter((line) => line.includes('br7'))).toHaveLength(1);
  subnets = [{ address: '127.0.0.1', netmask: '255.0.0.0' }];
  expect((await ask(aRequest(), ports.server)).op).toBe('reply');
  subnets = [];
  await expect.poll(() => sidero.lines().join()).toContain('lost its address');
});

test('a range outside of the interface’s network is told with what would be right', async () => {
  const wrong = dhcpOptions.parse({ mode: 'full', interface: 'lo', range: ['10.0.0.1', '10.0.0.2'] });
  const { sidero } = await start([wrong]);
  await expect.poll(() => sidero.lines().join()).toContain('is not within 127.0.0.0 to 127.255.255.255');
});
