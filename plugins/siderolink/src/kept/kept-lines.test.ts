import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMetrics, createLogger } from '@sidero/core';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KeptLines } from './kept-lines.ts';
import { type LineSelection, readKeptLines } from './read-kept-lines.ts';

const uuid = '4c4c4544-0039-3010-8047-c4c04f4e4d32';
const metrics = createMetrics();
let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'sidero-kept-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const kept = (bytesEach = 1024 * 1024) => new KeptLines({ folder, bytesEach, what: 'kernel log', log: createLogger({ level: 'silent' }), metrics });
const add = (lines: KeptLines, line: string, more: { key?: string; at?: Date } = {}) =>
  lines.add({ uuid, key: more.key ?? 'boot 1', line, at: more.at ?? new Date() });
const own = () => join(folder, uuid);

async function read(selection?: LineSelection): Promise<string[]> {
  const found: string[] = [];
  for await (const lines of readKeptLines(own(), selection)) found.push(...lines);
  return found;
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `line ${from + index}`);

test('lines are read as they came, also after a restart', async () => {
  const first = kept();
  for (const line of numbers(0, 500)) void add(first, line);
  await first.settled();
  const second = kept();
  for (const line of numbers(500, 1000)) void add(second, line);
  await second.settled();
  expect(await read()).toEqual(numbers(0, 1000));
  expect(await readdir(own())).toHaveLength(1);
  expect((await stat(own())).mode & 0o777).toBe(0o700);
});

test('the oldest lines go, and what is kept stays within its bytes', async () => {
  const lines = kept(64 * 1024);
  for (let from = 0; from < 20_000; from += 1000) {
    for (const line of numbers(from, from + 1000)) await add(lines, line);
    await lines.settled();
  }
  const names = await readdir(own());
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(own(), name))).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(64 * 1024);
  const found = await read();
  expect(found).toEqual(numbers(20_000 - found.length, 20_000));
  expect(found.length).toBeGreaterThan(1000);
});

test('boots are told apart by the key of the machine, also over restarts', async () => {
  for (const key of ['boot 1', 'boot 2', 'boot 2', 'boot 3']) {
    const lines = kept();
    void add(lines, `of ${key}`, { key });
    await lines.settled();
  }
  expect(await read({ boot: 0 })).toEqual(['of boot 3']);
  expect(await read({ boot: -1 })).toEqual(['of boot 2', 'of boot 2']);
  expect(await read({ boot: 1 })).toEqual(['of boot 1']);
  expect([await read({ boot: 4 }), await read({ boot: -3 })]).toEqual([[], []]);
  expect(await read()).toHaveLength(4);
});

test('since is by the time at which a line came', async () => {
  const lines = kept();
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 12, minute));
  for (const minute of [1, 2, 3]) void add(lines, `minute ${minute}`, { at: at(minute) });
  await lines.settled();
  expect(await read({ since: at(2) })).toEqual(['minute 2', 'minute 3']);
});

test('after a crash in the middle of a line the next one begins in a file of its own', async () => {
  const lines = kept();
  void add(lines, 'whole');
  await lines.settled();
  const [name = ''] = await readdir(own());
  await appendFile(join(own(), name), '2026-01-01T00:00:00.000Z to');
  const next = kept();
  void add(next, 'after');
  await next.settled();
  expect(await read()).toEqual(['whole', 'after']);
  expect(await readFile(join(own(), name), 'utf8')).toMatch(/ to$/);
});

test('who follows gets each line soon, over new boots and a folder that was not there', async () => {
  const stop = new AbortController();
  const found: string[] = [];
  const following = (async () => {
    for await (const lines of readKeptLines(own(), { follow: true, signal: stop.signal })) found.push(...lines);
  })();
  const lines = kept(64 * 1024);
  const wanted: string[] = [];
  for (const key of ['boot 1', 'boot 2', 'boot 3']) {
    for (const line of numbers(0, 700)) {
      wanted.push(`${key} ${line}`);
      void add(lines, wanted.at(-1)!, { key });
    }
    await vi.waitFor(() => expect(found.at(-1)).toBe(wanted.at(-1)), { timeout: 20_000, interval: 5 });
  }
  stop.abort();
  await following;
  expect(found).toEqual(wanted);
});

test('what a disk does not take is lost and counted, and holds nobody', async () => {
  await writeFile(join(folder, uuid), 'no folder');
  const lines = kept();
  void add(lines, 'lost');
  await lines.settled();
  expect(await metrics.text()).toContain('sidero_kept_lines_lost_total{what="kernel log"} 1');
  await rm(join(folder, uuid));
  void add(lines, 'kept');
  await lines.settled();
  expect(await read()).toEqual(['kept']);
});

test('a line may be longer than what is read at once', async () => {
  const lines = kept();
  const wanted = ['before', 'x'.repeat(700_000), 'after'];
  for (const line of wanted) void add(lines, line);
  await lines.settled();
  expect(await read()).toEqual(wanted);
});

test('nothing stays of a server that is removed', async () => {
  const lines = kept();
  void add(lines, 'x');
  await lines.remove(uuid);
  expect(await lines.servers()).toEqual([]);
  void add(lines, 'new');
  await lines.settled();
  expect(await read()).toEqual(['new']);
});

test('a burst beyond what is gathered asks its sender to wait', async () => {
  const lines = kept(8 * 1024 * 1024);
  const long = 'x'.repeat(10_000);
  let waited: Promise<void> | undefined;
  let count = 0;
  while (!waited) {
    waited = add(lines, long);
    count++;
  }
  expect(count).toBeGreaterThan(50);
  await waited;
  await lines.settled();
  expect(await read()).toHaveLength(count);
});
