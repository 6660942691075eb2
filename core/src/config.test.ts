import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from './config.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sidero-config-'));
  await write('hello.mjs', HELLO);
});
afterEach(() => rm(folder, { recursive: true }));

// A plugin as definePlugin makes it, without importing core: the shape is the contract.
const HELLO = `
  const make = (options) => ({ name: 'hello', pluginApi: 1, options: { schema: {}, settings: {} }, setup: () => {}, given: options });
  export const hello = Object.assign(make, { pluginName: 'hello' });
`;

async function write(name: string, content: string): Promise<void> {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), content);
}
const load = (variables: Record<string, string> = {}) => loadConfig({ directory: folder, variables });

test('a TypeScript config is loaded, with the defaults of what it leaves out', async () => {
  await write(
    'sidero.config.ts',
    `import { hello } from './hello.mjs'; const endpoint: string = '10.0.0.1'; export default { endpoint, plugins: [hello()] };`,
  );
  expect(await load()).toMatchObject({
    options: { endpoint: '10.0.0.1', apiPort: 8081, bootAuth: 'require', dataDir: '.sidero' },
    plugins: [{ name: 'hello' }],
  });
});

test('a config is found from a folder below it', async () => {
  await write('sidero.config.json', '{"endpoint": "10.0.0.1", "plugins": []}');
  await mkdir(join(folder, 'deep/er'), { recursive: true });
  expect((await loadConfig({ directory: join(folder, 'deep/er'), variables: {} })).file).toBe(join(folder, 'sidero.config.json'));
});

test('YAML names a plugin by path or by package, and both load the same way', async () => {
  await write('node_modules/sidero-plugin-hi/package.json', '{"name": "sidero-plugin-hi", "type": "module", "exports": "./index.js"}');
  await write('node_modules/sidero-plugin-hi/index.js', HELLO.replaceAll('hello', 'hi'));
  await write('sidero.config.yaml', 'endpoint: 10.0.0.1\nplugins:\n  - from: ./hello.mjs\n    options: { loud: true }\n  - sidero-plugin-hi\n');
  expect((await load()).plugins).toMatchObject([{ name: 'hello', given: { loud: true } }, { name: 'hi' }]);
});

test('a variable wins over the file, and "-" leaves the file in force', async () => {
  await write('sidero.config.json', '{"endpoint": "10.0.0.1", "apiPort": 9000, "plugins": []}');
  const { options } = await load({ SIDERO_CONTROLLER_MANAGER_API_PORT: '9001', SIDERO_CONTROLLER_MANAGER_API_ENDPOINT: '-' });
  expect(options).toMatchObject({ apiPort: 9001, endpoint: '10.0.0.1' });
});

test.each([
  ['an unknown key', '{"endpont": "10.0.0.1", "plugins": []}', 'SIDERO_CONFIG_INVALID', '"endpont"'],
  ['a value of the wrong type', '{"apiPort": "http", "plugins": []}', 'SIDERO_CONFIG_INVALID', '"apiPort"'],
  ['plugins that are no list', '{"plugins": {}}', 'SIDERO_CONFIG_INVALID', '"plugins"'],
  ['a plugin that is not there', '{"plugins": ["./nope.mjs"]}', 'SIDERO_PLUGIN_INVALID', 'plugins[0] ("./nope.mjs")'],
  ['a plugin named twice', '{"plugins": ["./hello.mjs", "./hello.mjs"]}', 'SIDERO_PLUGIN_INVALID', 'second plugin named "hello"'],
  ['something that is no plugin', '{"plugins": [7]}', 'SIDERO_PLUGIN_INVALID', 'plugins[0] is neither'],
  ['broken JSON', '{', 'SIDERO_CONFIG_UNREADABLE', 'sidero.config.json'],
])('%s is refused, naming file and place', async (...[, content, code, words]) => {
  await write('sidero.config.json', content);
  await expect(load()).rejects.toMatchObject({ code, message: expect.stringContaining(words), next: expect.stringMatching(/\w/) });
});

test('a factory that was not called is named', async () => {
  await write('sidero.config.ts', `import { hello } from './hello.mjs'; export default { plugins: [hello] };`);
  await expect(load()).rejects.toMatchObject({
    code: 'SIDERO_PLUGIN_INVALID',
    message: expect.stringContaining('is the plugin factory itself; call it'),
  });
});

test('a plugin made for another plugin API is refused at load', async () => {
  await write('old.mjs', HELLO.replace('pluginApi: 1', 'pluginApi: 0'));
  await write('sidero.config.ts', `import { hello } from './old.mjs'; export default { plugins: [hello()] };`);
  await expect(load()).rejects.toMatchObject({ code: 'SIDERO_PLUGIN_INVALID', message: expect.stringContaining('plugin API 0, this is 1') });
});

test('TypeScript that cannot be erased is named with the file', async () => {
  await write('sidero.config.ts', 'enum Colour { Red } export default { plugins: [], endpoint: String(Colour.Red) };');
  await expect(load()).rejects.toMatchObject({ code: 'SIDERO_CONFIG_UNREADABLE', message: expect.stringContaining('sidero.config.ts') });
});

test('no config at all says where it was looked for', async () => {
  await expect(load()).rejects.toMatchObject({ code: 'SIDERO_CONFIG_MISSING', message: expect.stringContaining(folder) });
});
