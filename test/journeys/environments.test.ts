import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Environment, EnvironmentKind, EventKind, ServerBindingKind, ServerKind } from '@sidero/core';
import { aBinding, anEnvironment, aServer, type TestSidero, testSidero } from '@sidero/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';

const uuid = '00000000-0000-4000-8000-00000000000a';
const until = { interval: 20 };
let dataDir: string;
let web: Server;
let site: string;
let content: Map<string, string>;
let sidero: TestSidero;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'environments-'));
  content = new Map([
    ['/k', 'kernel'],
    ['/i', 'initrd'],
  ]);
  web = createServer((request, response) => {
    const found = content.get(request.url ?? '');
    response.writeHead(found ? 200 : 404).end(found);
  }).listen(0, '127.0.0.1');
  await once(web, 'listening');
  site = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  // Nothing leaves this machine: what is not loopback is asked of a proxy that nobody runs.
  process.env['HTTPS_PROXY'] = 'http://127.0.0.1:2';
  sidero = await testSidero({ dataDir, variables: { SIDERO_FETCH_ENVIRONMENTS: 'true' } });
});

afterEach(async () => {
  delete process.env['HTTPS_PROXY'];
  await sidero.close();
  web.close();
  await rm(dataDir, { recursive: true });
});

const stored = (name: string): Promise<Environment | undefined> => sidero.resources.get(EnvironmentKind, { name }, { live: true });
const conditionsOf = async (name: string) => (await stored(name))?.status?.conditions;
const create = (name: string, kernel = '/k') =>
  sidero.resources.create<Environment>(EnvironmentKind, {
    ...anEnvironment({ metadata: { name }, spec: { kernel: { url: site + kernel, args: ['quiet'] }, initrd: { url: `${site}/i` } } }),
  });

test('the default Environment is there from the start and again after it was deleted; offline it says why it is not ready', async () => {
  await expect.poll(async () => (await stored('default'))?.spec?.kernel?.url, until).toContain('/v1.13.0/vmlinuz-amd64');
  await expect
    .poll(() => conditionsOf('default'), until)
    .toMatchObject([
      { type: 'Ready', status: 'False', reason: 'FetchFailed', message: expect.stringMatching(/^vmlinuz could not be fetched: /) as string },
      { type: 'Ready', status: 'False', reason: 'FetchFailed' },
    ]);
  const { uid } = (await stored('default'))!.metadata;
  await sidero.resources.remove(EnvironmentKind, { name: 'default' });
  await expect.poll(async () => (await stored('default'))?.metadata.uid ?? uid, until).not.toBe(uid);
});

test('an Environment is fetched, booted, fetched anew when it changes, and its files go with it', async () => {
  await create('mine');
  await expect
    .poll(() => conditionsOf('mine'), until)
    .toMatchObject([
      { type: 'Ready', status: 'True', url: `${site}/k` },
      { type: 'Ready', status: 'True', url: `${site}/i` },
    ]);
  await sidero.resources.create(ServerKind, aServer({ metadata: { name: uuid }, spec: { accepted: true, environmentRef: { name: 'mine' } } }));
  await sidero.resources.create(ServerBindingKind, aBinding({ metadata: { name: uuid } }));
  await expect.poll(async () => (await fetch(`${sidero.url}/ipxe?uuid=${uuid}`)).text(), until).toContain('kernel /env/mine/vmlinuz  quiet');
  expect(await (await fetch(`${sidero.url}/env/mine/vmlinuz`)).text()).toBe('kernel');

  await sidero.resources.change(EnvironmentKind, { name: 'mine' }, (draft) => {
    draft.spec!.kernel!.url = `${site}/new`;
  });
  await expect
    .poll(() => conditionsOf('mine'), until)
    .toMatchObject([{ status: 'False', url: `${site}/new`, message: `vmlinuz could not be fetched: ${site}/new answers 404` }, { status: 'True' }]);
  expect((await fetch(`${sidero.url}/ipxe?uuid=${uuid}`)).status).toBe(412);
  content.set('/new', 'new kernel');
  await expect.poll(() => conditionsOf('mine'), until).toMatchObject([{ status: 'True' }, { status: 'True' }]);
  expect(await readFile(join(dataDir, 'env', 'mine', 'vmlinuz'), 'utf8')).toBe('new kernel');

  await sidero.resources.remove(EnvironmentKind, { name: 'mine' });
  await expect.poll(() => readdir(join(dataDir, 'env')), until).not.toContain('mine');
});

test('the names of the agent are refused, by condition and Event, and its files stay', async () => {
  const before = await readFile(join(dataDir, 'env', 'agent-amd64', 'vmlinuz'));
  await create('agent-amd64');
  await expect.poll(() => conditionsOf('agent-amd64'), until).toMatchObject([{ status: 'False', reason: 'NameReserved' }, { status: 'False' }]);
  const events = () => sidero.resources.list(EventKind, {}, { live: true });
  await expect.poll(async () => (await events()).map(({ reason }) => reason), until).toContain('NameReserved');
  await sidero.resources.remove(EnvironmentKind, { name: 'agent-amd64' });
  expect(await readFile(join(dataDir, 'env', 'agent-amd64', 'vmlinuz'))).toEqual(before);
});

test('files of Environments that were deleted while nobody ran are removed at the start', async () => {
  await create('gone');
  await expect.poll(() => conditionsOf('gone'), until).toMatchObject([{ status: 'True' }, { status: 'True' }]);
  await sidero.close();
  // The API of the test is in memory: the next one knows nothing of it.
  sidero = await testSidero({ dataDir, variables: { SIDERO_FETCH_ENVIRONMENTS: 'true' } });
  await expect.poll(() => readdir(join(dataDir, 'env')), until).not.toContain('gone');
  expect(await readdir(join(dataDir, 'env'))).toContain('agent-amd64');
});
