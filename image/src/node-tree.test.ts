import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeTree } from './node-tree.ts';
import { HOST } from './platform.ts';

const ROOT = join(import.meta.dirname, '../..');
const optional = async (file: string) =>
  (JSON.parse(await readFile(join(ROOT, file), 'utf8')) as { optionalDependencies: Record<string, string> }).optionalDependencies;

test('the Node of the image is the one that everything here is tested with', async () => {
  const ours = await optional('package.json');
  for (const [name, version] of Object.entries(await optional('image/package.json'))) expect(ours[name]).toBe(version);
  const { tree, version } = await nodeTree({ project: ROOT, platform: HOST, cache: ROOT });
  expect(`v${version}`).toBe(process.version);
  expect([...tree.keys()]).toEqual(['usr/local/bin/node', 'usr/share/doc/node/copyright']);
});
