import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeDataFolder } from './data-folder.ts';

const home = process.cwd();
let site: string;
beforeEach(async () => {
  site = await mkdtemp(join(tmpdir(), 'sidero-demo-'));
  process.chdir(site);
});
afterEach(async () => {
  process.chdir(home);
  await rm(site, { recursive: true });
});

test('what an earlier demo left is removed', async () => {
  (await takeDataFolder(undefined))[Symbol.dispose]();
  await writeFile('.sidero/demo/sidero.log', 'old');
  using folder = await takeDataFolder(undefined);
  expect([folder.path, existsSync('.sidero/demo/sidero.log')]).toEqual(['.sidero/demo', false]);
});

test('a second demo takes the folder beside that of the first, which keeps its files', async () => {
  using first = await takeDataFolder(undefined);
  await writeFile(join(first.path, 'kubeconfig'), 'of the first');
  using second = await takeDataFolder(undefined);
  expect([first.path, second.path, existsSync('.sidero/demo/kubeconfig')]).toEqual(['.sidero/demo', '.sidero/demo-2', true]);
});

test('a folder that was named and is taken is refused', async () => {
  using _first = await takeDataFolder('here');
  await expect(takeDataFolder('here')).rejects.toMatchObject({ code: 'SIDERO_DEMO_FOLDER_REFUSED' });
});

test('a folder with files of somebody else is refused, and left as it is', async () => {
  await mkdir('photos');
  await writeFile('photos/first-rack.jpg', '');
  await expect(takeDataFolder('photos')).rejects.toMatchObject({ code: 'SIDERO_DEMO_FOLDER_REFUSED' });
  expect(existsSync('photos/first-rack.jpg')).toBe(true);
});
