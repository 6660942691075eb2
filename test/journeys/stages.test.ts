import {
  ADOPT_ANNOTATION,
  adoptionOf,
  type BootPlan,
  definePlugin,
  FENCE_ANNOTATION,
  type HardwareReport,
  type Plugin,
  readInstallation,
  type Server,
  ServerBindingKind,
  ServerKind,
  type Sidero,
} from '@sidero/core';
import { aBinding, aServer, testSidero, type TestSidero } from '@sidero/testing';
import { afterEach, expect, test } from 'vitest';
import * as z from 'zod';

const UUID = aServer().metadata.name;
const MAC = '52:54:00:00:00:01';
const open: TestSidero[] = [];
afterEach(async () => {
  for (const sidero of open.splice(0)) await sidero.close();
});

async function start(options: Parameters<typeof testSidero>[0] = {}): Promise<TestSidero> {
  const sidero = await testSidero(options);
  open.push(sidero);
  return sidero;
}
const plugin = (name: string, setup: (sidero: Sidero) => void): Plugin => definePlugin({ name, options: z.strictObject({}), setup })();
const request = (more: { uuid?: string; mac?: string; address?: string; peek?: boolean } = {}) => ({
  uuid: UUID,
  mac: MAC,
  arch: 'amd64' as const,
  address: '10.0.0.50',
  ...more,
});
const tokenOf = (plan: BootPlan) =>
  'args' in plan ? plan.args.find((arg) => arg.startsWith('sidero.token='))?.slice('sidero.token='.length) : undefined;

/** A network boot of the machine: its pass, as `/ipxe` and then the agent API give it. */
async function bootPass({ lifecycle }: TestSidero, more: Parameters<typeof request>[0] = {}) {
  const { uuid, address } = request(more);
  return lifecycle.admit({ uuid, token: tokenOf(await lifecycle.boot(request(more))), address });
}

/** What the machine of a Server reports. */
function reportOf(server: Server, more: Partial<HardwareReport> = {}): HardwareReport {
  return {
    uuid: server.metadata.name,
    hardware: structuredClone(server.spec!.hardware!),
    hostname: 'node-1',
    address: '10.0.0.50',
    capabilities: [],
    ...more,
  };
}

/** What the agent of the original is handed: it tells nothing of single disks. */
const everyDisk = { plan: { method: 'insecure', disks: [] }, isByDisk: false } as const;

const dirty = () => aServer({ spec: { accepted: true }, status: { isClean: false, inUse: false } });

test('a machine nobody knows is given a token, registers with it, and its boot is on record', async () => {
  const sidero = await start();
  const pass = await bootPass(sidero);
  const { server, created } = await sidero.lifecycle.discover(reportOf(aServer()), pass);
  expect(created).toBe(true);
  expect(server.status?.boot).toMatchObject({ id: pass.bootId, address: '10.0.0.50' });
});

test('the record of a boot names the MAC address that the machine reported over', async () => {
  const sidero = await start();
  const report = reportOf(aServer());
  report.hardware.network!.interfaces![0]!.addresses = ['10.0.0.50/24'];
  const { server } = await sidero.lifecycle.discover(report, await bootPass(sidero));
  expect(server.status?.boot?.mac).toBe(report.hardware.network!.interfaces![0]!.mac);
});

test('without a token nobody registers', async () => {
  const { lifecycle } = await start();
  await expect(lifecycle.admit({ uuid: UUID, token: undefined, address: '10.0.0.66' })).rejects.toMatchObject({ code: 'SIDERO_BOOT_TOKEN_INVALID' });
});

test('bootAuth "report" lets a machine without a token in, unproven, and counts it', async () => {
  const sidero = await start({ site: { bootAuth: 'report' } });
  expect(await sidero.lifecycle.admit({ uuid: UUID, token: undefined, address: '10.0.0.66' })).toEqual({ uuid: UUID, bootId: '', proven: false });
});

test('the token of one machine is of no use for another', async () => {
  const { lifecycle } = await start();
  const token = tokenOf(await lifecycle.boot(request()));
  await expect(lifecycle.admit({ uuid: UUID.replace(/.$/, '0'), token, address: '10.0.0.50' })).rejects.toMatchObject({
    code: 'SIDERO_BOOT_TOKEN_INVALID',
  });
});

test('a new boot takes the right to act from the boot before it', async () => {
  const sidero = await start({ objects: [dirty()] });
  const first = tokenOf(await sidero.lifecycle.boot(request()));
  await sidero.lifecycle.discover(reportOf(dirty()), await sidero.lifecycle.admit({ uuid: UUID, token: first, address: '10.0.0.50' }));
  await sidero.lifecycle.boot(request());
  await expect(sidero.lifecycle.admit({ uuid: UUID, token: first, address: '10.0.0.50' })).rejects.toThrow('of an earlier boot');
});

test('a token ends after ten minutes, and a renewed one goes on', async () => {
  let now = new Date('2026-11-22T12:00:00Z');
  const sidero = await start({ now: () => now });
  const token = tokenOf(await sidero.lifecycle.boot(request()));
  const pass = await sidero.lifecycle.admit({ uuid: UUID, token, address: '10.0.0.50' });
  now = new Date('2026-11-22T12:09:00Z');
  const renewed = await sidero.lifecycle.renew(pass);
  now = new Date('2026-11-22T12:11:00Z');
  await expect(sidero.lifecycle.admit({ uuid: UUID, token, address: '10.0.0.50' })).rejects.toThrow('has ended');
  expect(await sidero.lifecycle.admit({ uuid: UUID, token: renewed, address: '10.0.0.50' })).toMatchObject({ bootId: pass.bootId, proven: true });
});

test('a second address asking for a known server in mid-boot is given no token, and an Event says so', async () => {
  const { lifecycle } = await start({ objects: [dirty()] });
  expect(tokenOf(await lifecycle.boot(request()))).toBeDefined();
  expect(await lifecycle.boot(request({ address: '10.0.0.66', mac: '52:54:00:00:00:66' }))).toMatchObject({ target: 'wait', status: 429 });
});

test('a machine that registered from an address that is none of its own, and comes back from another one, need not wait', async () => {
  const known = dirty();
  const { lifecycle } = await start();
  const token = tokenOf(await lifecycle.boot(request()));
  // As behind a Service: each connection has the address of some node.
  await lifecycle.discover(reportOf(known, { address: '10.0.0.1' }), await lifecycle.admit({ uuid: UUID, token, address: '10.0.0.1' }));
  const { mac } = known.spec!.hardware!.network!.interfaces![0]!;
  expect(await lifecycle.boot(request({ address: '10.0.0.2', mac: '52:54:00:00:00:66' }))).toMatchObject({ target: 'wait', status: 429 });
  expect(tokenOf(await lifecycle.boot(request({ address: '10.0.0.2', mac: mac! })))).toBeDefined();
});

test('the same machine that comes back with another address is known by its MAC', async () => {
  const { lifecycle } = await start({ objects: [dirty()] });
  await lifecycle.boot(request());
  expect(tokenOf(await lifecycle.boot(request({ address: '10.0.0.77' })))).toBeDefined();
});

test('a preview of what a machine boots hands nothing out', async () => {
  const { lifecycle, resources } = await start({ objects: [dirty()] });
  expect(tokenOf(await lifecycle.boot(request({ peek: true })))).toBeUndefined();
  expect((await resources.get(ServerKind, { name: UUID }, { live: true }))?.status?.boot).toBeUndefined();
});

test('machines that hammer one UUID are slowed down, others are not', async () => {
  const { lifecycle } = await start();
  const plans = await Promise.all(Array.from({ length: 20 }, () => lifecycle.boot(request())));
  expect(plans.some((plan) => plan.target === 'wait' && plan.status === 429)).toBe(true);
  expect(tokenOf(await lifecycle.boot(request({ uuid: UUID.replace(/.$/, '0') })))).toBeDefined();
});

test.each([
  [
    'another serial number',
    (report: HardwareReport) => ({ ...report, hardware: { ...report.hardware, system: { ...report.hardware.system, serialNumber: 'OTHER' } } }),
    'serial number OTHER',
  ],
  [
    'no MAC in common',
    (report: HardwareReport) => ({
      ...report,
      hardware: { ...report.hardware, network: { interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:99' }] } },
    }),
    'none of its MAC',
  ],
])('a machine with %s does not become an existing Server, unless adopted', async (...[, change, words]) => {
  const known = dirty();
  const sidero = await start({ objects: [known] });
  const pass = await bootPass(sidero);
  await expect(sidero.lifecycle.discover(change(reportOf(known)), pass)).rejects.toMatchObject({
    code: 'SIDERO_SERVER_DUPLICATE',
    message: expect.stringContaining(words),
  });
  expect((await sidero.resources.get(ServerKind, { name: UUID }, { live: true }))?.spec?.hardware).toEqual(known.spec?.hardware);

  const adopt = (installation: string) =>
    sidero.resources.change(ServerKind, { name: UUID }, (draft) => {
      draft.metadata.annotations = { ...draft.metadata.annotations, [ADOPT_ANNOTATION]: adoptionOf(draft, installation) };
    });
  // It came along with the Server from another installation.
  await adopt('another-cluster');
  await expect(sidero.lifecycle.discover(change(reportOf(known)), pass)).rejects.toMatchObject({ code: 'SIDERO_SERVER_DUPLICATE' });
  await adopt(await readInstallation(sidero.resources));
  const { server } = await sidero.lifecycle.discover(change(reportOf(known)), pass);
  expect(server.metadata.annotations).not.toHaveProperty([ADOPT_ANNOTATION]);
});

test('a swapped NIC is no conflict, and the hardware is brought up to date', async () => {
  const known = dirty();
  const sidero = await start({ objects: [known] });
  const report = reportOf(known);
  report.hardware.network!.interfaces!.push({ name: 'eth9', mac: '02:00:00:00:00:09' });
  const { server } = await sidero.lifecycle.discover(report, await bootPass(sidero));
  expect(server.spec?.hardware?.network?.interfaces?.at(-1)?.mac).toBe('02:00:00:00:00:09');
});

test.each(['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'])('the UUID %s is refused', async (uuid) => {
  const { lifecycle, resources } = await start();
  const report = { ...reportOf(aServer()), uuid };
  await expect(lifecycle.discover(report, { uuid, bootId: 'x', proven: true })).rejects.toMatchObject({ code: 'SIDERO_SERVER_UUID_INVALID' });
  expect(await resources.list(ServerKind, {}, { live: true })).toEqual([]);
});

test('what a person has taken back stays so, also where every machine is accepted that registers', async () => {
  const sidero = await start();
  const pass = await bootPass(sidero);
  expect((await sidero.lifecycle.discover(reportOf(dirty()), pass)).server.spec?.accepted).toBe(true);
  const now = async () => (await sidero.resources.get(ServerKind, { name: UUID }, { live: true }))!;
  await expect.poll(async () => (await now()).metadata.annotations).toHaveProperty([FENCE_ANNOTATION]);
  await sidero.resources.change(ServerKind, { name: UUID }, (draft) => void (draft.spec!.accepted = false));
  const { server } = await sidero.lifecycle.discover(reportOf(dirty(), { hostname: 'other' }), pass);
  expect(server.spec?.accepted).toBe(false);
  expect(await sidero.lifecycle.wipe(server)).toMatchObject({ hold: expect.stringContaining('not accepted') as string });
});

test('a Server that nobody accepts is not accepted', async () => {
  const sidero = await start({ agent: { autoAccept: false } });
  const { server } = await sidero.lifecycle.discover(reportOf(aServer()), await bootPass(sidero));
  expect(server.spec?.accepted).toBe(false);
});

test.each([
  ['is not accepted', aServer({ spec: { accepted: false }, status: { isClean: false } }), undefined],
  ['is clean', aServer({ spec: { accepted: true }, status: { isClean: true } }), undefined],
  ['is cordoned', aServer({ spec: { accepted: true, cordoned: true }, status: { isClean: false } }), undefined],
  ['is allocated', dirty(), aBinding()],
])('nothing is wiped on a server that %s', async (...[, server, binding]) => {
  const { lifecycle } = await start({ objects: [server, ...(binding ? [binding] : [])] });
  expect(await lifecycle.wipe(server)).toHaveProperty('hold');
});

test('a plugin that fails holds the disks, and the hold names it', async () => {
  const failing = plugin('keeper', ({ hooks }) => hooks.wipe.tapPromise('keeper', () => Promise.reject(new Error('its list cannot be read'))));
  const { lifecycle } = await start({ objects: [dirty()], plugins: [failing] });
  expect(await lifecycle.wipe(dirty())).toEqual({ hold: expect.stringContaining('Plugin "keeper" failed in hook "wipe"') });
});

test('a clean mark counts from the boot that was handed the wipe', async () => {
  const sidero = await start({ objects: [dirty()] });
  const pass = await bootPass(sidero);
  await expect(sidero.lifecycle.wiped(pass)).rejects.toMatchObject({ code: 'SIDERO_WIPE_NOT_HANDED' });
  await sidero.lifecycle.wipeHanded(pass, everyDisk);
  await sidero.lifecycle.wiped(pass);
  const server = await sidero.resources.get(ServerKind, { name: UUID }, { live: true });
  expect(server?.status).toMatchObject({ isClean: true, conditions: [{ type: 'PowerCycle', status: 'True' }] });
});

test('a clean mark from a later boot than the one that was handed the wipe is refused', async () => {
  let now = new Date('2026-11-22T12:00:00Z');
  const sidero = await start({ objects: [dirty()], now: () => now });
  await sidero.lifecycle.wipeHanded(await bootPass(sidero), everyDisk);
  now = new Date('2026-11-22T12:30:00Z');
  await expect(sidero.lifecycle.wiped(await bootPass(sidero))).rejects.toMatchObject({ code: 'SIDERO_WIPE_NOT_HANDED' });
  expect((await sidero.resources.get(ServerKind, { name: UUID }, { live: true }))?.status?.isClean).toBe(false);
});

test('a clean mark for a server that was allocated meanwhile is refused', async () => {
  const sidero = await start({ objects: [dirty()] });
  const pass = await bootPass(sidero);
  await sidero.lifecycle.wipeHanded(pass, everyDisk);
  await sidero.resources.create(ServerBindingKind, aBinding());
  await expect(sidero.lifecycle.wiped(pass)).rejects.toThrow('it is allocated');
});

test('a late heartbeat does not take back that a server is clean', async () => {
  const sidero = await start({ objects: [dirty()] });
  const pass = await bootPass(sidero);
  await sidero.lifecycle.wipeHanded(pass, everyDisk);
  await sidero.lifecycle.wiped(pass);
  await sidero.lifecycle.wiping(pass);
  expect((await sidero.resources.get(ServerKind, { name: UUID }, { live: true }))?.status?.conditions).toMatchObject([
    { type: 'PowerCycle', status: 'True' },
  ]);
});

test('a plugin that fails in boot makes the machine ask again, by name', async () => {
  const failing = plugin('banner', ({ hooks }) => hooks.boot.tapPromise('banner', () => Promise.reject(new Error('broken'))));
  const { lifecycle } = await start({ plugins: [failing] });
  expect(await lifecycle.boot(request())).toEqual({ target: 'wait', status: 503, reason: expect.stringContaining('Plugin "banner"') });
});

test('a kernel argument that a plugin gives a second line is refused', async () => {
  const evil = plugin('evil', ({ hooks }) =>
    hooks.boot.tap('evil', (plan) => ('args' in plan ? { ...plan, args: [...plan.args, 'quiet\nchain http://evil'] } : plan)),
  );
  const { lifecycle } = await start({ plugins: [evil] });
  expect(await lifecycle.boot(request())).toMatchObject({ target: 'wait', status: 500, reason: expect.stringContaining('control character') });
});

test('a machine is told to wait, and why, when the image of its agent is missing', async () => {
  const { lifecycle } = await start();
  expect(await lifecycle.boot({ ...request(), arch: 'arm64' })).toEqual({
    target: 'wait',
    status: 503,
    reason: expect.stringContaining('agent-arm64; "npm run build:agent" makes them'),
  });
});

test('a way to boot from disk that a plugin brings can be named on a Server, an unknown one cannot', async () => {
  const shell = plugin('shell', ({ diskBoots }) => diskBoots.add({ name: 'efi-shell', answer: () => ({ status: 200, body: '#!ipxe\nshell\n' }) }));
  const { resources } = await start({ objects: [dirty()], plugins: [shell] });
  const set = (method: string) =>
    resources.change(ServerKind, { name: UUID }, (draft) => {
      draft.spec = { ...draft.spec!, bootFromDiskMethod: method };
    });
  expect((await set('efi-shell')).spec?.bootFromDiskMethod).toBe('efi-shell');
  await expect(set('floppy')).rejects.toThrow('"efi-shell"');
});

test('two claims never get one server: the API decides', async () => {
  const server = aServer({ spec: { accepted: true }, status: { isClean: true, inUse: false } });
  const { lifecycle } = await start({ objects: [server] });
  const claims = ['a', 'b'].map((name) => lifecycle.allocate({ namespace: 'default', name, server: UUID }));
  const results = await Promise.allSettled(claims);
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('a Server that nobody uses can be deleted, an allocated one only once its binding is gone', async () => {
  const { resources } = await start({ objects: [dirty(), aBinding()] });
  const isInUse = async () => (await resources.get(ServerKind, { name: UUID }, { live: true }))?.status?.inUse;
  await expect.poll(isInUse).toBe(true);
  await resources.remove(ServerKind, { name: UUID });
  expect(await resources.get(ServerKind, { name: UUID }, { live: true })).toBeDefined();
  await resources.remove(ServerBindingKind, { name: UUID });
  await expect.poll(() => resources.get(ServerKind, { name: UUID }, { live: true })).toBeUndefined();
});

test('a machine that registers again with nothing new writes nothing', async () => {
  const sidero = await start();
  const pass = await bootPass(sidero);
  await sidero.lifecycle.discover(reportOf(aServer()), pass);
  const version = async () => (await sidero.resources.get(ServerKind, { name: UUID }, { live: true }))?.metadata.resourceVersion;
  // The loop has said its part by then.
  await expect.poll(async () => (await sidero.resources.get(ServerKind, { name: UUID }, { live: true }))?.status?.step).toBeDefined();
  const before = await version();
  await sidero.lifecycle.discover(reportOf(aServer()), pass);
  expect(await version()).toBe(before);
});
