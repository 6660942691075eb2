import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  coreCustomResources,
  createLogger,
  createMetrics,
  createResourceClient,
  definePlugin,
  FENCE_ANNOTATION,
  SecretKind,
  type Server,
  ServerKind,
} from '@sidero/core';
import { startApiServer } from '@sidero/plugin-apiserver';
import { aBinding, aServer, FIXTURE_UUID, type TestSidero, testSidero } from '@sidero/testing';
import { BMC_USERS, MemoryChassis, SimulatedBmc, simulatorDriver } from '@sidero/testing/bmc';
import * as z from 'zod';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sideroProgram } from '../../core/src/bin/program.ts';

// `sidero power`, `why`, `wipe` and `bmc` as a person runs them: they know nothing but the API.

const program = fileURLToPath(new URL('../../core/bin/sidero.js', import.meta.url));
const IN_USE = '11111111-0000-4000-8000-000000000000';
const NEW = '22222222-0000-4000-8000-000000000000';
const [{ name: user, password: pass }] = BMC_USERS as [(typeof BMC_USERS)[number]];
const SECRET = { namespace: 'default', name: 'fixture-bmc' };
const bmc = {
  endpoint: '10.0.0.7',
  userFrom: { secretKeyRef: { ...SECRET, key: 'user' } },
  passFrom: { secretKeyRef: { ...SECRET, key: 'pass' } },
};
const base64 = (text: string) => Buffer.from(text).toString('base64');

let sidero: TestSidero;
let folder: string;
let kubeconfig: string;
let device: SimulatedBmc;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sidero-commands-'));
  device = new SimulatedBmc({ chassis: new MemoryChassis() });
  const simulator = definePlugin({
    name: 'simulator',
    options: z.strictObject({}),
    setup: ({ powerDrivers }) => powerDrivers.add(simulatorDriver({ bmcOf: (server) => (server.spec?.bmc ? device : undefined) })),
  });
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: SECRET, data: { user: base64(user), pass: base64(pass) } };
  const bound = aServer({ spec: { hardware: { system: { uuid: IN_USE } } } });
  sidero = await testSidero({
    objects: [secret, aServer({ spec: { bmc } }), bound, aBinding({ metadata: { name: bound.metadata.name } })],
    plugins: [simulator()],
  });
  kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, sidero.kubeConfig.exportConfig());
}, 60_000);
afterAll(async () => {
  await sidero?.close();
  device?.[Symbol.dispose]();
  await rm(folder, { recursive: true });
});

// As a process does it, but for the seconds that a process takes to start.
async function command(...args: readonly string[]): Promise<{ stdout: string; stderr: string; thrown?: unknown }> {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const text = (written: typeof stdout) => written.mock.calls.map(([line]) => String(line)).join('');
  let thrown: unknown;
  try {
    await sideroProgram().parseAsync([...args, ...(args.includes('--kubeconfig') ? [] : ['--kubeconfig', kubeconfig])], { from: 'user' });
  } catch (problem) {
    thrown = problem;
  }
  const said = { stdout: text(stdout), stderr: text(stderr) };
  stdout.mockRestore();
  stderr.mockRestore();
  return thrown === undefined ? said : { ...said, thrown };
}

async function server(name = FIXTURE_UUID): Promise<Server> {
  return (await sidero.resources.get(ServerKind, { name }, { live: true }))!;
}

describe('sidero power', { timeout: 60_000 }, () => {
  test('switches a machine, and reads its power', async () => {
    expect(await command('power', 'on', FIXTURE_UUID)).toMatchObject({ stdout: `server ${FIXTURE_UUID}: power-on is done by simulator\n` });
    expect(device.control.isOn()).toBe(true);
    const { stdout, stderr } = await command('power', 'status', FIXTURE_UUID);
    expect(stdout).toBe(`server ${FIXTURE_UUID}: on\n`);
    expect(stderr).toMatch(new RegExp(`^waiting for power-read of ${FIXTURE_UUID}, from \\d\\d:\\d\\d:\\d\\d until \\d\\d:\\d\\d:\\d\\d\n`));
    expect((await server()).metadata.annotations?.['metal.sidero.dev/request']).toBeUndefined();
  });

  test('keeps a state until it is left to Sidero again', async () => {
    expect(await command('power', 'on', FIXTURE_UUID, '--keep')).not.toHaveProperty('thrown');
    expect((await server()).metadata.annotations).toMatchObject({ 'metal.sidero.dev/power': 'on' });
    const kept = `it is kept on, and goes back to that; sidero power auto ${FIXTURE_UUID} ends it`;
    expect((await command('power', 'off', FIXTURE_UUID)).stdout).toBe(`server ${FIXTURE_UUID}: power-off is done by simulator; ${kept}\n`);
    expect(await command('power', 'auto', FIXTURE_UUID)).not.toHaveProperty('thrown');
    // A clean machine that nobody uses is off.
    await expect.poll(async () => (await server()).status?.power, { timeout: 30_000 }).toBe('off');
    expect((await server()).metadata.annotations).not.toHaveProperty('metal.sidero.dev/power');
  });

  test.each(['off', 'cycle', 'soft'])('%s takes no server from its cluster by a slip of the finger', async (verb) => {
    await expect.poll(async () => (await server(IN_USE)).status?.inUse).toBe(true);
    const refused = await command('power', verb, IN_USE);
    expect(refused).toMatchObject({ stdout: '', thrown: { code: 'SIDERO_POWER_UNCONFIRMED', next: expect.stringContaining('--yes') } });
    expect((await server(IN_USE)).metadata.annotations?.['metal.sidero.dev/request']).toBeUndefined();
    expect(await command('power', verb, IN_USE, '--yes')).toMatchObject({ thrown: { code: 'SIDERO_REQUEST_FAILED' } });
  });

  test('says why it was not done', async () => {
    const refused = await command('power', 'on', IN_USE);
    expect(refused).toMatchObject({ stdout: '', thrown: { code: 'SIDERO_REQUEST_FAILED' } });
    expect(String(refused.thrown)).toContain(`Server ${IN_USE}: power-on was not done: nobody manages its power`);
    expect(await command('power', 'on', 'nobody')).toMatchObject({ thrown: { message: 'There is no Server nobody.' } });
    expect(await command('power', 'on', FIXTURE_UUID, '--wait', '5s', '--kubeconfig', join(folder, 'none'))).toMatchObject({
      thrown: { code: 'SIDERO_KUBECONFIG_MISSING' },
    });
  });
});

describe('sidero bmc rotate', { timeout: 60_000 }, () => {
  test('gives the BMC a password that nobody has seen, and keeps it in the Secret', async () => {
    const { stdout, stderr } = await command('bmc', 'rotate', FIXTURE_UUID);
    expect(stdout).toBe(`server ${FIXTURE_UUID}: its BMC has a new password, kept in Secret default/fixture-bmc\n`);
    const secret = await sidero.resources.get(SecretKind, SECRET, { live: true });
    expect(Object.keys(secret!.data!)).toEqual(['user', 'pass']);
    const changed = Buffer.from(secret!.data!['pass']!, 'base64').toString();
    expect(changed).toHaveLength(16);
    expect(device.account(user)?.password).toBe(changed);
    expect(stderr).not.toContain(changed);
    expect(await command('power', 'status', FIXTURE_UUID)).not.toHaveProperty('thrown');
  });
});

describe('sidero why', { timeout: 60_000 }, () => {
  test('tells where a server is, and what happened to it', async () => {
    const { stdout } = await command('why', FIXTURE_UUID);
    expect(stdout).toMatch(/^Server .*\n {2}state {7}\w+/);
    expect(stdout).toMatch(/\n {2}power {7}o/);
    const why = JSON.parse((await command('why', FIXTURE_UUID, '--json')).stdout) as { step: { name: string }; events: unknown[] };
    expect(why.step.name).toBe((await server()).status?.step?.name);
    expect(why.events.length).toBeGreaterThan(0);
  });
});

test('sidero why without a server counts them, and names those that are not ready', { timeout: 60_000 }, async () => {
  await sidero.resources.create(ServerKind, aServer({ spec: { accepted: false, hardware: { system: { uuid: NEW } } }, status: undefined }));
  const { stdout } = await command('why');
  expect(stdout).toMatch(/^3 servers: /);
  expect(stdout).toMatch(new RegExp(`^${NEW} `, 'm'));
  await sidero.resources.remove(ServerKind, { name: NEW });
});

describe('sidero wipe', { timeout: 60_000 }, () => {
  test('is not begun without a yes', async () => {
    expect(await command('wipe', FIXTURE_UUID)).toMatchObject({ thrown: { code: 'SIDERO_WIPE_UNCONFIRMED' } });
    expect((await server()).status?.isClean).toBe(true);
  });

  test('of a machine in use is refused', async () => {
    expect(await command('wipe', IN_USE, '--yes')).toMatchObject({ thrown: { code: 'SIDERO_REQUEST_FAILED' } });
  });

  test('makes a clean machine boot into a wipe, whose plan can be looked at', async () => {
    expect(await command('wipe', FIXTURE_UUID, '--yes')).not.toHaveProperty('thrown');
    expect((await server()).status?.isClean).toBe(false);
    await expect.poll(() => device.control.isOn(), { timeout: 30_000 }).toBe(true);
    const { stdout } = await command('wipe', '--plan', FIXTURE_UUID);
    expect(stdout).toMatch(/^(DISK +SERIAL +SIZE +METHOD +REASON\n|every disk: )/);
  });
});

describe('without a sidero that answers, as while it is restarted', { timeout: 120_000 }, () => {
  let api: Awaited<ReturnType<typeof startApiServer>>;
  let resources: ReturnType<typeof createResourceClient>;
  let file: string;
  beforeAll(async () => {
    const log = createLogger({ level: 'silent' });
    api = await startApiServer({ customResources: coreCustomResources(), log });
    resources = createResourceClient({ kubeConfig: () => api.kubeConfig, log, metrics: createMetrics(), component: 'test' });
    await resources.create(ServerKind, aServer());
    file = join(folder, 'idle');
    await writeFile(file, api.kubeConfig.exportConfig());
  });
  afterAll(async () => {
    await resources?.close();
    await api?.close();
  });
  const request = async () =>
    (await resources.get(ServerKind, { name: FIXTURE_UUID }, { live: true }))?.metadata.annotations?.['metal.sidero.dev/request'];

  test('a request is taken back when its time is over', async () => {
    const asked = command('power', 'off', FIXTURE_UUID, '--wait', '3s', '--kubeconfig', file);
    await expect.poll(request, { timeout: 30_000 }).toMatch(/^power-off \w+$/);
    expect(await asked).toMatchObject({ thrown: { code: 'SIDERO_REQUEST_UNANSWERED' } });
    expect(await request()).toBeUndefined();
  });

  test('a request is taken back with Ctrl-C', async () => {
    const child = execFile(process.execPath, ['--conditions=source', program, 'power', 'off', FIXTURE_UUID, '--kubeconfig', file]);
    const ended = new Promise((settle) => child.once('exit', settle));
    await expect.poll(request, { timeout: 60_000 }).toMatch(/^power-off \w+$/);
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(await request()).toBeUndefined();
  });
});

test('an error ends the process with 1 and says what to do next', { timeout: 120_000 }, async () => {
  const given = ['--conditions=source', program, 'why', 'nobody', '--kubeconfig', kubeconfig];
  const ended = await promisify(execFile)(process.execPath, given).catch((thrown: unknown) => thrown);
  expect(ended).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^sidero: SIDERO_SERVER_UNKNOWN: .*\n {2}Next: /) as string });
});

test('a server whose name is not whole is found', { timeout: 60_000 }, async () => {
  const whole = expect.stringContaining(FIXTURE_UUID) as string;
  expect(await command('why', FIXTURE_UUID.slice(0, 9))).toMatchObject({ thrown: { code: 'SIDERO_SERVER_UNKNOWN', next: whole } });
  expect(await command('why', aServer().spec!.hostname!)).toMatchObject({ thrown: { code: 'SIDERO_SERVER_UNKNOWN', next: whole } });
});

test('sidero adopt takes over a server that another installation has fenced', { timeout: 60_000 }, async () => {
  const name = '22222222-0000-4000-8000-000000000000';
  const fence = (text: string) => ({ [FENCE_ANNOTATION]: text });
  const now = () => sidero.resources.get(ServerKind, { name }, { live: true });
  await sidero.resources.create(
    ServerKind,
    aServer({ metadata: { annotations: fence('elsewhere/3') }, spec: { hardware: { system: { uuid: name } } } }),
  );
  await expect.poll(async () => (await now())?.status?.step?.name).toBe('Fenced');
  expect((await command('adopt', name)).stdout).toContain('it is ours now');
  await expect.poll(async () => (await now())?.metadata.annotations).toEqual(fence(expect.stringMatching(/^[0-9a-f-]{36}\/4$/) as string));
  expect(await command('adopt', name.slice(0, 9))).toMatchObject({ thrown: { code: 'SIDERO_SERVER_UNKNOWN' } });
  await sidero.resources.remove(ServerKind, { name });
});

test('when sidero stops, it logs out of every BMC', { timeout: 60_000 }, async () => {
  // One that nothing is said over for a while has been closed long ago.
  expect(await command('power', 'status', FIXTURE_UUID)).not.toHaveProperty('thrown');
  expect(device.sessions.size).toBe(1);
  await sidero.close();
  expect(device.sessions.size).toBe(0);
});
