import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { definePlugin } from '@sidero/core';
import { aServer } from '@sidero/testing';
import * as z from 'zod';
import { readKeptLines } from '../../plugins/siderolink/src/kept/read-kept-lines.ts';
import { createAnnotate } from '../../plugins/siderolink/src/logs/annotated-line.ts';
import { RecordSplitter } from '../../plugins/siderolink/src/logs/record-splitter.ts';
import { aLinkedBinding, streamsPlane } from '../journeys/siderolink-streams/streams-plane.ts';
import { logConnection } from '../journeys/siderolink-streams/talos-node.ts';
import { type SendOrder, talosLines } from './kernel-log-sender.ts';
import type { Measurement } from './measure.ts';

const MACHINES = 20;
const LINES = 20_000;
const TOTAL = MACHINES * LINES;
const ALONE = 200_000;
const CHUNK = 65_536;
const FOLLOWED = 300;
const names = { server_uuid: '6b121f82-24a8-4611-9d23-fa1a5ba564f0', cluster: 'mc', namespace: 'default', metal_machine: 'mm-1', machine: 'm-1' };

interface Run {
  readonly perSecond: number;
  /** Of the event loop's thread, a line. */
  readonly cpuUs: number;
}

/** Kernel logs: cut, named and written as lines; then over TCP from twenty machines at once to a plugin, the disk and a socket. */
export async function measureKernelLogs(): Promise<readonly Measurement[]> {
  // The first time is not counted: nothing is compiled yet.
  const [, alone] = [0, 1].map(() => ({ ours: annotateAll(), peer: parseAll() }));
  const peer = await throughReadline();
  const ours = await throughStreams();
  const follow = await followed();
  const bare = 'readline, JSON.parse, JSON.stringify';
  const note = `${MACHINES} machines, ${TOTAL} lines, none lost; to a plugin, to disk and to a socket`;
  return [
    { what: 'kernel log lines, named', ours: alone!.ours, unit: '/s', digits: 0, peer: { name: 'JSON.parse, JSON.stringify', value: alone!.peer } },
    { what: 'kernel log lines over TCP', ours: ours.perSecond, unit: '/s', digits: 0, peer: { name: bare, value: peer.perSecond }, note },
    {
      what: 'kernel log line to `sidero logs -f`, p50',
      ours: follow.p50,
      unit: 'ms',
      digits: 1,
      note: `${FOLLOWED} lines, one at a time, over TCP and disk`,
    },
    { what: 'kernel log line to `sidero logs -f`, p99', ours: follow.p99, unit: 'ms', digits: 1 },
    { what: 'kernel log over TCP, CPU a line', ours: ours.cpuUs, unit: 'µs', digits: 1, peer: { name: bare, value: peer.cpuUs }, note: 'event loop' },
  ];
}

function annotateAll(): number {
  const bytes = Buffer.from(talosLines(0, ALONE));
  const annotate = createAnnotate();
  const lines: string[] = [];
  const record = (text: string): boolean => {
    const line = annotate(text, names);
    if (line !== undefined) lines.push(line);
    return line !== undefined;
  };
  const splitter = new RecordSplitter({ record, waste: (why) => lost(why) });
  const startedMs = performance.now();
  for (let at = 0; at < bytes.length; at += CHUNK) splitter.push(bytes.subarray(at, at + CHUNK));
  const seconds = (performance.now() - startedMs) / 1000;
  if (lines.length !== ALONE) lost(`${ALONE - lines.length} lines`);
  return ALONE / seconds;
}

function parseAll(): number {
  const texts = talosLines(0, ALONE).split('\n').filter(Boolean);
  const startedMs = performance.now();
  const lines = texts.map((text) => JSON.stringify({ ...(JSON.parse(text) as object), ...names }));
  return lines.length / ((performance.now() - startedMs) / 1000);
}

async function throughStreams(): Promise<Run> {
  const machines = Array.from({ length: MACHINES }, (_, index) => ({
    address: `127.0.2.${index + 1}`,
    uuid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
  }));
  const done = Promise.withResolvers<void>();
  let count = 0;
  const counter = definePlugin({
    name: 'counter',
    options: z.strictObject({}),
    setup: ({ hooks }) => hooks.stream.tap('counter', ({ type }) => (type === 'log' && ++count === TOTAL ? done.resolve() : undefined)),
  });
  const objects = machines.flatMap(({ address, uuid }) => [aServer({ spec: { hardware: { system: { uuid } } } }), aLinkedBinding(address, uuid)]);
  await using plane = await streamsPlane({ objects, plugins: [counter()], isWitnessed: false });
  return await timed({ port: plane.logPort, addresses: machines.map(({ address }) => address), lines: LINES }, done.promise);
}

/** From the writing of a line by the machine until a follower prints it. */
async function followed(): Promise<{ p50: number; p99: number }> {
  await using plane = await streamsPlane({ objects: [aServer(), aLinkedBinding()], isWitnessed: false });
  const socket = await logConnection('127.0.0.2', plane.logPort);
  const stop = new AbortController();
  const lines = readKeptLines(join(plane.dataDir, 'logs', aServer().metadata.name), { follow: true, signal: stop.signal });
  const tookMs: number[] = [];
  for (let index = 0; index < FOLLOWED; index++) {
    const startedMs = performance.now();
    socket.write(talosLines(index, 1));
    for (let seen = false; !seen; ) seen = ((await lines.next()).value as readonly string[]).length > 0;
    tookMs.push(performance.now() - startedMs);
  }
  stop.abort();
  socket.destroy();
  await lines.return(undefined);
  const sorted = tookMs.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

async function throughReadline(): Promise<Run> {
  const done = Promise.withResolvers<void>();
  let count = 0;
  let bytes = 0;
  const server = createServer((socket) => {
    createInterface({ input: socket, crlfDelay: Infinity }).on('line', (text) => {
      bytes += JSON.stringify({ ...(JSON.parse(text) as object), ...names }).length;
      if (++count === TOTAL) done.resolve();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const addresses = Array.from({ length: MACHINES }, (_, index) => `127.0.2.${index + 1}`);
  const run = await timed({ port: (server.address() as AddressInfo).port, addresses, lines: LINES }, done.promise);
  server.close();
  if (bytes === 0) lost('everything');
  return run;
}

async function timed(order: SendOrder, done: Promise<void>): Promise<Run> {
  const worker = new Worker(new URL('./kernel-log-sender.ts', import.meta.url), { workerData: order });
  await once(worker, 'online');
  const [startedMs, before] = [performance.now(), process.threadCpuUsage()];
  await done;
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.threadCpuUsage(before);
  await worker.terminate();
  return { perSecond: TOTAL / seconds, cpuUs: (user + system) / TOTAL };
}

function lost(what: string): never {
  throw new Error(`kernel logs: ${what} lost`);
}
