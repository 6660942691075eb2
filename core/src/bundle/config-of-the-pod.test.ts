import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../config.ts';

// The working directory of the manager is empty, or the mount of a ConfigMap; the configuration of the image lies above.
let image: string;

beforeEach(async () => {
  image = await mkdtemp(join(tmpdir(), 'sidero-image-'));
  await mkdir(join(image, 'config'));
  await mkdir(join(image, 'node_modules/site-plugin'), { recursive: true });
  const plugin = `export const site = Object.assign(() => ({ name: 'site', pluginApi: 1, options: { schema: {}, settings: {} }, setup() {} }), { pluginName: 'site' });\n`;
  await writeFile(join(image, 'node_modules/site-plugin/index.js'), plugin);
  await writeFile(join(image, 'node_modules/site-plugin/package.json'), JSON.stringify({ name: 'site-plugin', type: 'module', main: 'index.js' }));
  await writeFile(join(image, 'sidero.config.yaml'), 'apiPort: 8081\nplugins: []\n');
});
afterEach(() => rm(image, { recursive: true }));

const load = () => loadConfig({ directory: join(image, 'config'), variables: {} });

test('without a ConfigMap the configuration of the image is read', async () => {
  expect((await load()).options.apiPort).toBe(8081);
});

test('that of a ConfigMap is read in its place, and names plugins of the image', async () => {
  // As a kubelet mounts it.
  await mkdir(join(image, 'config/..data'));
  await writeFile(join(image, 'config/..data/sidero.config.yaml'), 'apiPort: 9090\nplugins: [site-plugin]\n');
  await symlink('..data/sidero.config.yaml', join(image, 'config/sidero.config.yaml'));
  const { options, plugins } = await load();
  expect([options.apiPort, plugins.map(({ name }) => name)]).toEqual([9090, ['site']]);
});
