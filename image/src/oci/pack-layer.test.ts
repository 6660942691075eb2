import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Entry, textFile } from '../file-tree.ts';
import { packLayer } from './pack-layer.ts';

const run = promisify(execFile);
const digest = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

describe('a layer', () => {
  let folder: string;
  let source: string;
  const tree = (order: 1 | -1) => {
    const entries: [string, Entry][] = [
      ['usr/bin/tool', { kind: 'file', mode: 0o755, content: source }],
      ['etc/words', textFile('wörds\n')],
      ['tmp', { kind: 'directory', mode: 0o1777 }],
      ['bin', { kind: 'link', target: 'usr/bin' }],
      [`deep/${'folder/'.repeat(40)}file`, textFile('')],
    ];
    return new Map(order === 1 ? entries : entries.toReversed());
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'layer-'));
    source = join(folder, 'tool');
    await writeFile(source, '#!/bin/sh\n');
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('is the same whatever the order of its files and their times', async () => {
    const one = await packLayer(tree(1), { title: 'one', folder });
    await utimes(source, new Date(), new Date(1_000_000));
    const other = await packLayer(tree(-1), { title: 'other', folder });
    expect(other.digest).toBe(one.digest);
    expect(await readFile(other.file)).toEqual(await readFile(one.file));
  });

  test('is known by the digests of what is written, before and after compression', async () => {
    const layer = await packLayer(tree(1), { title: 'known', folder });
    const bytes = await readFile(layer.file);
    expect(layer).toMatchObject({ digest: digest(bytes), diffId: digest(gunzipSync(bytes)), sizeBytes: bytes.length });
  });

  test('reads as it was made, for tar', async () => {
    const { file } = await packLayer(tree(1), { title: 'read', folder });
    const { stdout } = await run('tar', ['--list', '--verbose', '--numeric-owner', '--utc', '--file', file]);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(5 + ['etc', 'usr', 'usr/bin', 'deep'].length + 40);
    expect(lines.filter((line) => !/^\S+ 0\/0 +\d+ 1970-01-01 00:00 /.test(line))).toEqual([]);
    const line = (end: string) => lines.find((one) => one.endsWith(end));
    expect(line(' usr/bin/tool')).toMatch(/^-rwxr-xr-x .* 10 /);
    expect(line(' tmp/') ?? line(' tmp')).toMatch(/^drwxrwxrwt /);
    expect(line(' bin -> usr/bin')).toMatch(/^l/);
  });

  test('of a file that cannot be read is none', async () => {
    const missing = new Map<string, Entry>([['a', { kind: 'file', mode: 0o644, content: join(folder, 'missing') }]]);
    await expect(packLayer(missing, { title: 'broken', folder })).rejects.toThrow(/ENOENT/);
  });
});
