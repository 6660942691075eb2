import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createLogger, createMetrics } from '@sidero/core';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { followSocket } from './follow-socket.ts';
import { LineSocket } from './line-socket.ts';

const log = createLogger({ level: 'silent' });
const until = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 15_000, interval: 10 });
const stops: AbortController[] = [];
let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sidero-lines-'));
  path = join(folder, 'stream', 'logs.sock');
});
afterEach(async () => {
  for (const stop of stops.splice(0)) stop.abort();
  await rm(folder, { recursive: true, force: true });
});

async function served(metrics = createMetrics()) {
  const socket = new LineSocket({ path, what: 'kernel logs', log, metrics });
  const stop = new AbortController();
  stops.push(stop);
  const ready = Promise.withResolvers<void>();
  const done = socket.run(stop.signal, ready.resolve);
  await Promise.race([ready.promise, done]);
  return { socket, metrics, done, close: () => stop.abort() };
}

async function reader(): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}

function followed(onSilence = () => {}): { lines: () => readonly string[] } {
  const output = new PassThrough();
  const lines: string[] = [];
  // A write of followSocket is whole lines, but a stream may hand it on in pieces.
  let rest = '';
  output.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  const stop = new AbortController();
  stops.push(stop);
  void followSocket({ path, output, signal: stop.signal, onSilence, quietMs: 100 });
  return { lines: () => lines };
}

test('a reader to whom nobody answers says so, once, and is told when somebody does', async () => {
  let silences = 0;
  const { lines } = followed(() => silences++);
  await until(() => expect(silences).toBe(1));
  const { socket, close, done } = await served();
  await until(() => {
    socket.write('here');
    expect(lines().at(-1)).toBe('here');
  });
  expect(silences).toBe(1);
  close();
  await done;
  await until(() => expect(silences).toBe(2));
});

test('every reader gets every line, and what came while nobody read comes first', async () => {
  const { socket, close, done } = await served();
  socket.write('before');
  await new Promise(setImmediate);
  const first = followed();
  await until(() => expect(first.lines()).toEqual(['before']));
  const second = followed();
  await until(() => {
    socket.write('between');
    expect(second.lines().at(-1)).toBe('between');
  });
  socket.write('after');
  await until(() => expect([first.lines().at(-1), second.lines().at(-1)]).toEqual(['after', 'after']));
  close();
  await done;
});

test('a reader goes on when the process that tells is there again', async () => {
  const first = await served();
  const { lines } = followed();
  first.socket.write('one');
  await until(() => expect(lines()).toEqual(['one']));
  first.close();
  await first.done;
  const second = await served();
  second.socket.write('two');
  await until(() => expect(lines()).toEqual(['one', 'two']));
});

test('a reader that does not read misses lines, which are counted, and no other one does', async () => {
  const { socket, metrics } = await served();
  const slow = await reader();
  slow.pause();
  const { lines } = followed();
  await until(async () => {
    socket.write('begin');
    await new Promise(setImmediate);
    expect(lines().length).toBeGreaterThan(0);
  });
  const line = 'y'.repeat(50_000);
  for (let count = 10; count <= 200; count += 10) {
    for (let index = 0; index < 10; index++) socket.write(line);
    await until(() => expect(lines().filter((got) => got === line)).toHaveLength(count));
  }
  expect(await metrics.text()).toMatch(/sidero_line_socket_missed_total\{what="kernel logs"\} [1-9]/);
  slow.destroy();
});

test('only we may listen, unless the folder is shared with others', async () => {
  const { close, done } = await served();
  const modeOf = async (file: string) => ((await stat(file)).mode & 0o777).toString(8);
  expect([await modeOf(join(folder, 'stream')), await modeOf(path)]).toEqual(['700', '660']);
  close();
  await done;
});

test('lines reach their readers before the end', async () => {
  const { socket, close } = await served();
  const last = await reader();
  const all = text(last);
  await until(() => socket.write('ready'));
  await new Promise(setImmediate);
  socket.write('last');
  close();
  expect(await all).toMatch(/last\n$/);
});

test('a socket that was left behind is taken over; one that is served, once that ends', async () => {
  await served().then(({ close, done }) => (close(), done));
  await writeFile(path, '');
  const first = await served();
  let isTaken = false;
  const second = served().then((taken) => ((isTaken = true), taken));
  const { lines } = followed();
  first.socket.write('first');
  await until(() => expect(lines()).toEqual(['first']));
  expect(isTaken).toBe(false);
  first.close();
  (await second).socket.write('second');
  await until(() => expect(lines()).toEqual(['first', 'second']));
});
