import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOST } from '../platform.ts';
import { installedPackages, packageTree } from './package-tree.ts';
import { readProject } from './read-project.ts';

/** Each look at a configuration is a process that loads all of core; hosts are busy. */
const PATIENCE_MS = 60_000;
const ROOT = join(import.meta.dirname, '../../..');
const plugin = (name: string) => `import { definePlugin } from '@sidero/core';
import * as z from 'zod';
export const ${name} = definePlugin({ name: '${name}', options: z.strictObject({}), setup() {} });
`;
const manifest = (name: string, more: object = {}) => JSON.stringify({ name, version: '1.0.0', type: 'module', exports: './index.js', ...more });

/** A project of somebody else: a plugin from a registry, one of his own as a package, and one in a file. */
const PROJECT: Readonly<Record<string, string>> = {
  'package.json': '{ "private": true, "type": "module" }',
  'plugins/row.ts': plugin('row'),
  'outside.ts': plugin('outside'),
  'node_modules/sidero-plugin-rack/package.json': manifest('sidero-plugin-rack', {
    dependencies: { paint: '1.0.0' },
    optionalDependencies: { 'paint-macos': '1.0.0' },
    peerDependencies: { easel: '1.0.0', curtain: '1.0.0' },
    peerDependenciesMeta: { curtain: { optional: true } },
  }),
  'node_modules/sidero-plugin-rack/index.js': plugin('rack'),
  'node_modules/sidero-plugin-rack/index.d.ts': 'export {};\n',
  'node_modules/sidero-plugin-rack/LICENSE.md': 'all rights\n',
  'node_modules/sidero-plugin-rack/README.md': 'words\n',
  'node_modules/sidero-plugin-rack/node_modules/paint/package.json': manifest('paint', { version: '2.0.0' }),
  'node_modules/sidero-plugin-rack/node_modules/paint/index.js': '',
  'node_modules/easel/package.json': manifest('easel'),
  'node_modules/paint/package.json': manifest('paint'),
  'node_modules/paint/index.js': '',
  'node_modules/unused/package.json': manifest('unused'),
  'our-plugin/package.json': manifest('our-plugin', { exports: './dist/index.js', files: ['dist'], dependencies: { paint: '1.0.0' } }),
  'our-plugin/dist/index.js': plugin('ours'),
  'our-plugin/src/index.ts': 'secret source',
};
const CONFIG = `import { defineConfig } from '@sidero/core';
import { rack } from 'sidero-plugin-rack';
import { ours } from 'our-plugin';
import { row } from './plugins/row.ts';

export default defineConfig({ plugins: [rack(), ours(), row()] });
`;

let project: string;
const source = () => ({ project, platform: HOST, cache: join(project, 'cache') });

async function write(path: string, text: string): Promise<string> {
  const file = join(project, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

beforeAll(async () => {
  project = await realpath(await mkdtemp(join(tmpdir(), 'project-')));
  for (const [path, text] of Object.entries(PROJECT)) await write(path, text);
  await mkdir(join(project, 'node_modules/@sidero'));
  await symlink(join(ROOT, 'core'), join(project, 'node_modules/@sidero/core'));
  await symlink('../our-plugin', join(project, 'node_modules/our-plugin'));
  await symlink(join(ROOT, 'node_modules/zod'), join(project, 'node_modules/zod'));
});
afterAll(() => rm(project, { recursive: true }));

describe('a configuration', { timeout: PATIENCE_MS }, () => {
  test('goes into the image with the files beside it that it imports, and no others', async () => {
    const { tree, folder } = await readProject(await write('sidero.config.ts', CONFIG));
    expect(folder).toBe(project);
    expect([...tree.keys()].toSorted()).toEqual(['package.json', 'plugins/row.ts', 'sidero.config.ts']);
    expect(tree.get('package.json')).toMatchObject({ content: Buffer.from('{"private":true,"type":"module"}\n') });
  });

  test('names the packages that it loads, by import or in YAML', async () => {
    const { packages } = await readProject(await write('sidero.config.ts', CONFIG));
    expect(packages).toEqual(expect.arrayContaining(['@sidero/core', 'our-plugin', 'sidero-plugin-rack']));
    expect(packages).not.toContain('unused');
    const yaml = await readProject(await write('sidero.config.yaml', 'plugins: [sidero-plugin-rack, { from: ./plugins/row.ts }]\n'));
    expect(yaml.packages).toEqual(expect.arrayContaining(['@sidero/core', 'sidero-plugin-rack']));
    expect([...yaml.tree.keys()]).toEqual(expect.arrayContaining(['sidero.config.yaml', 'plugins/row.ts']));
  });

  test('that imports a file above its folder is refused, with the file', async () => {
    const config = await write('sites/a/sidero.config.ts', CONFIG.replace('./plugins/row.ts', '../../plugins/row.ts'));
    await expect(readProject(config)).rejects.toMatchObject({
      code: 'SIDERO_IMAGE_FILE_OUTSIDE',
      details: { file: join(project, 'plugins/row.ts') },
    });
  });

  test('that does not load is refused, with the reason', async () => {
    const config = await write('broken.config.ts', `import 'nowhere';\nexport default {};\n`);
    await expect(readProject(config)).rejects.toMatchObject({ code: 'SIDERO_IMAGE_CONFIG_UNREADABLE', message: expect.stringContaining('nowhere') });
  });
});

describe('packages', () => {
  const places = async (...names: string[]) => (await installedPackages(source(), names)).map(({ at }) => at);

  test('bring what they depend on from where Node finds it, and only what is needed', async () => {
    const rack = 'node_modules/sidero-plugin-rack';
    expect(await places('sidero-plugin-rack')).toEqual(['node_modules/easel', rack, `${rack}/node_modules/paint`]);
    expect(await places('our-plugin')).toEqual(['node_modules/our-plugin', 'node_modules/paint']);
  });

  test('that are missing stop the build, unless they are optional', async () => {
    await write('node_modules/needy/package.json', manifest('needy', { dependencies: { absent: '1.0.0' } }));
    await expect(places('needy')).rejects.toMatchObject({ code: 'SIDERO_IMAGE_PACKAGE_MISSING', details: { name: 'absent', by: 'needy' } });
  });

  test('from a registry lose what is for editors, and keep their licence', async () => {
    const [rack] = (await installedPackages(source(), ['sidero-plugin-rack'])).filter(({ at }) => at === 'node_modules/sidero-plugin-rack');
    const files = ['LICENSE.md', 'index.js', 'package.json'].map((name) => `node_modules/sidero-plugin-rack/${name}`);
    expect([...(await packageTree([rack!])).keys()].toSorted()).toEqual(files);
  });

  test('that are written here are as npm would publish them, and must be built', async () => {
    const ours = (await installedPackages(source(), ['our-plugin'])).filter(({ name }) => name === 'our-plugin');
    const files = ['dist/index.js', 'package.json'].map((name) => `node_modules/our-plugin/${name}`);
    expect([...(await packageTree(ours)).keys()].toSorted()).toEqual(files);
    await rm(join(project, 'our-plugin/dist'), { recursive: true });
    await expect(packageTree(ours)).rejects.toMatchObject({ code: 'SIDERO_IMAGE_PACKAGE_UNBUILT', details: { missing: 'dist/index.js' } });
    await write('our-plugin/dist/index.js', plugin('ours'));
  });
});
