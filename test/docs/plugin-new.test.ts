import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../architecture/source-tree.ts';

const run = promisify(execFile);
const SIDERO = ['--conditions=source', join(ROOT, 'core/bin/sidero.js')];
const sidero = (...args: readonly string[]) => run(process.execPath, [...SIDERO, ...args], { cwd: site });

let site: string;
let folder: string;
let said: string;
beforeAll(async () => {
  site = await mkdtemp(join(tmpdir(), 'sidero-plugin-'));
  folder = join(site, 'rack-rows');
  said = (await sidero('plugin', 'new', 'rack-rows')).stdout;
  // What `npm install` would bring.
  await symlink(join(ROOT, 'node_modules'), join(site, 'node_modules'));
}, 60_000);
afterAll(() => rm(site, { recursive: true }));

describe('sidero plugin new', { timeout: 60_000 }, () => {
  test('writes a plugin of that name, and no word of the template is left', async () => {
    expect(said).toContain("import { rackRows } from './rack-rows/src/index.ts'");
    const texts = await Promise.all(
      ['src/rack-rows.ts', 'src/rack-rows.test.ts', 'src/index.ts', 'README.md', 'package.json'].map((file) => readFile(join(folder, file), 'utf8')),
    );
    expect(texts.join('\n')).not.toMatch(/example/i);
    expect(texts[0]).toContain("settings: { room: text('SIDERO_RACK_ROWS_ROOM') }");
  });

  test('what it writes type-checks', async () => {
    // The sources stand in for what a checkout or a package has built.
    const options = ['--noEmit', '--customConditions', 'source', '--rootDir', '/'];
    await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder, ...options]);
  }, 120_000);

  test('its tests pass as they are', async () => {
    const conditions = "['source', 'node', 'import', 'default']";
    await writeFile(
      join(folder, 'sources.config.ts'),
      `import { mergeConfig } from 'vitest/config';
import config from './vitest.config.ts';
export default mergeConfig(config, { resolve: { conditions: ${conditions} }, ssr: { resolve: { conditions: ${conditions} } } });
`,
    );
    const vitest = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'sources.config.ts'];
    const { stdout } = await run(process.execPath, vitest, { cwd: folder, env: { ...process.env, NO_COLOR: '1' } });
    expect(stdout).toMatch(/Tests +6 passed \(6\)/);
  }, 120_000);

  test('a config takes it by its path, and its variable is a flag', async () => {
    await writeFile(
      join(site, 'sidero.config.ts'),
      `import { defineConfig } from '@sidero/core';
import { rackRows } from './rack-rows/src/index.ts';
export default defineConfig({ endpoint: '10.0.0.1', plugins: [rackRows({ room: 'a' })] });
`,
    );
    const { stdout } = await sidero('inspect');
    expect(stdout).toMatch(/^ {2}discover +rack-rows$/m);
    expect(stdout).toContain('SIDERO_RACK_ROWS_ROOM');
  });

  test.each(['Rack Rows', 'rack_rows'])('"%s" is no name', async (name) => {
    await expect(sidero('plugin', 'new', name)).rejects.toMatchObject({ stderr: expect.stringMatching(/SIDERO_PLUGIN_NEW_REFUSED: [^]*Next: /) });
  });

  test('a folder in which something is stays as it is', async () => {
    await mkdir(join(site, 'taken'));
    await writeFile(join(site, 'taken/notes.txt'), 'mine');
    await expect(sidero('plugin', 'new', 'taken')).rejects.toMatchObject({ stderr: expect.stringContaining('SIDERO_PLUGIN_NEW_REFUSED') });
    expect(await readFile(join(site, 'taken/notes.txt'), 'utf8')).toBe('mine');
  });
});

test('the template has the versions that this repository has', async () => {
  const json = async (file: string) => JSON.parse(await readFile(join(ROOT, file), 'utf8')) as Record<string, Record<string, string>>;
  const [template, root, core] = [await json('core/template/package.json'), await json('package.json'), await json('core/package.json')];
  const ours = { '@sidero/core': core['version'], '@sidero/testing': core['version'] };
  const known: Record<string, unknown> = { ...root['devDependencies'], ...root['optionalDependencies'], ...core['dependencies'], ...ours };
  const listed = ['dependencies', 'peerDependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) => Object.entries(template[kind]!));
  expect(listed.filter(([name, version]) => known[name] !== version)).toEqual([]);
});
