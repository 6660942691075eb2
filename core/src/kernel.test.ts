import { expect, test } from 'vitest';
import * as z from 'zod';
import { createKernel } from './kernel.ts';
import { createLogger } from './log.ts';
import { createMetrics } from './metrics.ts';
import { definePlugin, type Plugin } from './plugin.ts';
import type { ResourceClient } from './resources/client.ts';
import type { Server } from './resources/kinds.ts';
import type { Sidero, Site } from './sidero.ts';

const site: Site = {
  endpoint: '10.0.0.1',
  apiPort: 8081,
  authority: '10.0.0.1:8081',
  dataDir: '/nowhere',
  bootAuth: 'require',
  bootFromDiskMethod: 'ipxe-exit',
  pxeMode: 'uefi',
  rebootTimeoutMs: 1_200_000,
  powerPollMs: 300_000,
  namespace: 'sidero-system',
  extraAgentArgs: '',
};
// Setting up calls nothing of it; a call would throw.
const resources = {} as ResourceClient;

function kernelOf(...plugins: Plugin[]) {
  return createKernel({
    plugins,
    site,
    resources,
    variables: {},
    hookTimeoutMs: 100,
    strict: true,
    log: createLogger({ level: 'silent' }),
    metrics: createMetrics(),
  });
}
const plugin = (name: string, setup: (sidero: Sidero) => void): Plugin => definePlugin({ name, options: z.strictObject({}), setup })();

test('plugins are set up in config order, and their taps run in that order', async () => {
  const order: string[] = [];
  const tapping = (name: string) => plugin(name, ({ hooks }) => hooks.accept.tap(name, () => void order.push(name)));
  const kernel = kernelOf(tapping('second-by-name'), tapping('first-by-name'));
  await kernel.hooks.accept.promise({ metadata: { name: 'x' } } as never);
  expect(order).toEqual(['second-by-name', 'first-by-name']);
  expect(kernel.taps.map((tap) => tap.plugin)).toEqual(['second-by-name', 'first-by-name']);
});

test('two plugins on one route are refused, naming both', () => {
  const routing = (name: string) => plugin(name, ({ http }) => http.route('GET', '/ipxe', () => undefined));
  expect(() => kernelOf(routing('boot-ipxe'), routing('other'))).toThrow('Plugins "boot-ipxe" and "other" both add "GET /ipxe" to http.');
});

test('what one plugin adds to a registry, another sees', () => {
  const kernel = kernelOf(
    plugin('giver', ({ diskBoots }) => diskBoots.add({ name: 'efi-shell', answer: () => ({ status: 200, body: '' }) })),
    plugin('reader', ({ diskBoots }) => expect(diskBoots.ownerOf('efi-shell')).toBe('giver')),
  );
  expect(kernel.tables.diskBoots.for('core').get('efi-shell')).toBeDefined();
});

test('a tap that calls a stage is refused: data flows one way', async () => {
  const kernel = kernelOf(
    plugin('circular', ({ hooks, lifecycle }) => hooks.wipe.tapPromise('circular', async (_, server) => lifecycle.wipe(server))),
  );
  await expect(kernel.hooks.wipe.promise({ method: 'insecure', disks: [] }, { kind: 'Server', metadata: { name: 'x' } } as never)).rejects.toThrow(
    'The tap of circular in wipe calls lifecycle.wipe.',
  );
});

test('a machine that a stage was told of was seen, and drivers manage its power in config order', () => {
  const driver = (name: string) => ({ name, needsLogin: false, claims: () => true, open: () => Promise.reject(new Error('not here')) });
  const kernel = kernelOf(...['second-by-name', 'first-by-name'].map((name) => plugin(name, ({ powerDrivers }) => powerDrivers.add(driver(name)))));
  const server: Server = { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name: 'uuid-1' } };
  const at = new Date();
  kernel.lifecycle.stream({ type: 'seen', wire: 'ipxe', uuid: 'uuid-1', at });
  expect(kernel.power.seen(server, at)).toEqual({ wire: 'ipxe', at });
  expect(kernel.power.drivers(server)).toEqual(['second-by-name', 'first-by-name']);
});

test('a log line of a plugin carries its name', () => {
  const lines: string[] = [];
  const log = createLogger({ level: 'info', destination: { write: (line: string) => lines.push(line) } as never });
  createKernel({
    plugins: [plugin('chatty', (sidero) => sidero.log.info('hello'))],
    site,
    resources,
    variables: {},
    hookTimeoutMs: 100,
    strict: true,
    log,
    metrics: createMetrics(),
  });
  expect(JSON.parse(lines[0]!)).toMatchObject({ plugin: 'chatty', msg: 'hello' });
});

test('secrets are masked in log lines, at any depth, in lists and in errors', () => {
  const lines: string[] = [];
  const log = createLogger({ level: 'info', destination: { write: (line: string) => lines.push(line) } as never });
  const err = Object.assign(new Error('login failed'), { details: { pass: 'hunter2', endpoint: '10.0.0.7' } });
  log.info({ pass: 'hunter2', bmc: { user: 'hunter2', nested: [{ token: 'hunter2' }] }, 'private-key': 'hunter2', err }, 'login');
  expect(lines[0]).toContain('login failed');
  expect(lines[0]).toContain('10.0.0.7');
  expect(lines[0]).not.toContain('hunter2');
});

test('what is logged is not changed by masking', () => {
  const bmc = { pass: 'hunter2' };
  createLogger({ level: 'info', destination: { write: () => true } as never }).info({ bmc }, 'login');
  expect(bmc.pass).toBe('hunter2');
});

test('what goes wrong in a setup is told with the plugin', () => {
  const throwing = plugin('racks', () => {
    throw new Error('no such file');
  });
  expect(() => kernelOf(throwing)).toThrow('Plugin "racks" failed in its setup: no such file.');
  const metered = plugin('racks', ({ metrics }) => void [metrics.counter('racks', 'Racks.'), metrics.gauge('racks', 'Racks.')]);
  expect(() => kernelOf(metered)).toThrow('Plugin "racks" failed in its setup: the metric racks is there already, and no Gauge.');
});

test('an async setup is refused: nobody waits for it', () => {
  expect(() => kernelOf(plugin('racks', async () => undefined))).toThrow('Plugin "racks" failed in its setup: it is an async function');
});

test('what is added after setup, which nobody would start or serve, is refused', () => {
  let racks: Sidero | undefined;
  kernelOf(plugin('racks', (sidero) => void (racks = sidero)));
  const late = 'Plugin "racks" adds to';
  expect(() => racks?.services.add({ name: 'racks', where: 'every', run: async () => undefined })).toThrow(`${late} services after its setup.`);
  expect(() => racks?.http.route('GET', '/racks', () => undefined)).toThrow(`${late} http after its setup.`);
});

test('what has no name is refused, naming plugin and registry', () => {
  const nameless = plugin('racks', ({ diskBoots }) => diskBoots.add({} as never));
  expect(() => kernelOf(nameless)).toThrow('Plugin "racks" adds something without a name to diskBoots.');
});

test.each(['My Plugin', 'taken'])('no plugin may be named %j', (name) => {
  expect(() =>
    kernelOf(
      plugin('taken', () => undefined),
      plugin(name, () => undefined),
    ),
  ).toThrow(`A plugin cannot be named "${name}"`);
});

test('a hook that is none is told with what is near it', () => {
  const mistaken = plugin('racks', ({ hooks }) =>
    (hooks as unknown as Record<string, Sidero['hooks']['accept']>)['acept']!.tap('racks', () => undefined),
  );
  expect(() => kernelOf(mistaken)).toThrow('Plugin "racks" failed in its setup: there is no hook "acept"; perhaps "accept" is meant.');
});
