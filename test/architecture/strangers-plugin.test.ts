import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from './source-tree.ts';

const run = promisify(execFile);

/** A plugin as somebody else would publish it: JavaScript, importing core by its name. */
const plugin = (name: string) => `import { definePlugin } from '@sidero/core';
import * as z from 'zod';

export const rack = definePlugin({
  name: '${name}',
  options: z.strictObject({ row: z.string() }),
  setup({ hooks }, { row }) {
    hooks.discover.tap('${name}', (draft) => ({ ...draft, labels: { ...draft.labels, row } }));
  },
});
`;

let site: string;

beforeAll(async () => {
  site = await mkdtemp(join(tmpdir(), 'sidero-site-'));
  await write('package.json', '{ "type": "module" }');
  await write('plugins/rack.js', plugin('rack-by-path'));
  await write(
    'node_modules/sidero-plugin-rack/package.json',
    '{ "name": "sidero-plugin-rack", "version": "1.0.0", "type": "module", "exports": "./rack.js" }',
  );
  await write('node_modules/sidero-plugin-rack/rack.js', plugin('rack-by-name'));
  await mkdir(join(site, 'node_modules/@sidero'));
  await symlink(join(ROOT, 'core'), join(site, 'node_modules/@sidero/core'));
  await symlink(join(ROOT, 'node_modules/zod'), join(site, 'node_modules/zod'));
});

afterAll(() => rm(site, { recursive: true }));

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(join(site, file)), { recursive: true });
  await writeFile(join(site, file), text);
}

/** What `sidero inspect` sees with this config: the taps of `discover`, or what it complains about. */
async function inspect(file: string, config: string): Promise<readonly string[]> {
  await write(file, config);
  const sidero = [join(ROOT, 'core/bin/sidero.js'), '--config', join(site, file), 'inspect', '--json'];
  return run(process.execPath, ['--conditions=source', ...sidero], { cwd: site }).then(
    ({ stdout }) => (JSON.parse(stdout) as { hooks: { discover: { plugin: string }[] } }).hooks.discover.map((tap) => tap.plugin),
    ({ stderr }: { stderr: string }) => stderr.split('\n'),
  );
}

describe("a stranger's plugin", { timeout: 60_000 }, () => {
  test('is loaded from a path and from node_modules, in the order of a YAML config', async () => {
    const config = `endpoint: 10.0.0.1
plugins:
  - { from: ./plugins/rack.js, options: { row: a } }
  - { from: sidero-plugin-rack, options: { row: b } }
`;
    expect(await inspect('sidero.config.yaml', config)).toEqual(['rack-by-path', 'rack-by-name']);
  });

  test('is imported by a TypeScript config as any module is', async () => {
    const config = `import { defineConfig } from '@sidero/core';
import { rack as byName } from 'sidero-plugin-rack';
import { rack as byPath } from './plugins/rack.js';

export default defineConfig({ endpoint: '10.0.0.1', plugins: [byName({ row: 'a' }), byPath({ row: 'b' })] });
`;
    expect(await inspect('sidero.config.ts', config)).toEqual(['rack-by-name', 'rack-by-path']);
  });

  test('that cannot be found is named with its place in the config', async () => {
    const [first] = await inspect('missing.yaml', 'endpoint: 10.0.0.1\nplugins: [sidero-plugin-missing]\n');
    expect(first).toMatch(/SIDERO_PLUGIN_INVALID: .*missing\.yaml: plugins\[0\] .*sidero-plugin-missing/);
  });

  test('with a wrong option stops the start, naming plugin, key and fix', async () => {
    const lines = await inspect('wrong.yaml', 'endpoint: 10.0.0.1\nplugins:\n  - { from: sidero-plugin-rack, options: { rwo: b } }\n');
    expect(lines.join('\n')).toMatch(/SIDERO_OPTION_INVALID: Plugin "rack-by-name": option "\w+"[^]*Next: /);
  });
});
