import {
  ADOPT_ANNOTATION,
  adoptionOf,
  definePlugin,
  EventKind,
  FENCE_ANNOTATION,
  POWER_ANNOTATION,
  readInstallation,
  REQUEST_ANNOTATION,
  SecretKind,
  type Server,
  ServerBindingKind,
  ServerKind,
} from '@sidero/core';
import { aBinding, aServer, FIXTURE_UUID, type Overrides, simulatedPower, type SimulatedMachine, type TestSidero, testSidero } from '@sidero/testing';
import { MemoryChassis, SimulatedBmc, simulatorDriver } from '@sidero/testing/bmc';
import * as z from 'zod';
import { expect, test, vi } from 'vitest';

/** As the original words it. */
const CYCLED = /^Server power cycled for wiping at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.$/;
const SITE = { rebootTimeoutMs: 20_000, powerPollMs: 1000 };
const get = async (sidero: TestSidero, name = FIXTURE_UUID) => sidero.resources.get(ServerKind, { name }, { live: true });
const statusOf = async (sidero: TestSidero, name?: string) => (await get(sidero, name))?.status;
const becomes = (sidero: TestSidero, status: object, name?: string) =>
  vi.waitFor(async () => expect(await statusOf(sidero, name)).toMatchObject(status), { timeout: 30_000, interval: 50 });
const eventsOf = async (sidero: TestSidero, name = FIXTURE_UUID) =>
  (await sidero.resources.list(EventKind, {}, { live: true }))
    .filter(({ involvedObject }) => involvedObject.name === name)
    .map(({ message }) => message ?? '');
const annotate = (sidero: TestSidero, key: string, value: string) =>
  sidero.resources.change<Server>(ServerKind, { name: FIXTURE_UUID }, ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, [key]: value };
  });

/** A dirty server that no machine registers, with a BMC of its own. */
async function aRack(overrides: Overrides<Server> = {}, given: { isOn?: boolean; more?: Parameters<typeof testSidero>[0] } = {}) {
  const chassis = new MemoryChassis({ isOn: given.isOn ?? false });
  const bmc = new SimulatedBmc({ chassis });
  const server = aServer({ status: { isClean: false }, ...overrides } as Overrides<Server>);
  const { more } = given;
  const sidero = await testSidero({ site: SITE, plugins: [simulatedPower(() => bmc)], ...more, objects: [server, ...(more?.objects ?? [])] });
  return { sidero, bmc, chassis, [Symbol.asyncDispose]: () => sidero.close() };
}

test('a machine is wiped and switched off, network-boots when it is allocated, and is wiped again when it is released', async () => {
  const bmcs = new Map<string, SimulatedBmc>();
  await using sidero = await testSidero({ site: SITE, agent: { autoAccept: false }, plugins: [simulatedPower((uuid) => bmcs.get(uuid))] });
  const machine: SimulatedMachine = sidero.machine({ hasIpxeRom: true });
  const bmc = new SimulatedBmc({ chassis: machine });
  bmcs.set(machine.uuid, bmc);
  const ref = { name: machine.uuid };

  machine.powerOn();
  await becomes(sidero, { step: { name: 'AwaitingAcceptance' } }, machine.uuid);
  expect(bmc.control.actions).toEqual([]);
  await sidero.resources.change<Server>(ServerKind, ref, (draft) => void (draft.spec!.accepted = true));
  await becomes(sidero, { isClean: true, ready: true, power: 'off', step: { name: 'Clean' } }, machine.uuid);
  expect(machine.isOn()).toBe(false);
  // Its agent was there, and was handed the wipe without a reboot.
  expect(bmc.control.actions).toEqual(['off']);

  await sidero.resources.create(ServerBindingKind, aBinding({ metadata: { name: machine.uuid } }));
  await becomes(sidero, { isClean: false, inUse: true, ready: true, power: 'on', step: { name: 'InUse' } }, machine.uuid);
  expect(machine.isOn()).toBe(true);

  await sidero.resources.remove(ServerBindingKind, ref);
  await becomes(sidero, { isClean: true, inUse: false, power: 'off' }, machine.uuid);
  expect(bmc.control.actions).toEqual(['off', 'on', 'cycle', 'off']);
  expect(await eventsOf(sidero, machine.uuid)).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^Server powered off\. Driver simulated: /),
      expect.stringMatching(/^Server powered on and set PXE boot once into the environment\. Driver simulated: /),
      'Server marked as unallocated.',
      expect.stringMatching(/^Server power cycled and set to PXE boot once\. Driver simulated: /),
      'Server wiped via agent.',
    ]),
  );
}, 90_000);

test('a BMC that says yes and does nothing is named, and the machine is not given up', async () => {
  await using rack = await aRack({}, { isOn: true, more: { site: { ...SITE, rebootTimeoutMs: 1500 } } });
  const { sidero, bmc } = rack;
  await becomes(sidero, {
    powerAction: { state: 'waiting', driver: 'simulated' },
    conditions: expect.arrayContaining([
      expect.objectContaining({
        type: 'PowerCycle',
        status: 'False',
        severity: 'Info',
        reason: 'InProgress',
        message: expect.stringMatching(CYCLED),
      }),
    ]),
  });
  await vi.waitFor(async () => expect((await eventsOf(sidero)).join('\n')).toMatch(/No network boot was seen: simulated was told/), {
    timeout: 15_000,
  });
  await vi.waitFor(() => expect(bmc.control.actions.filter((action) => action === 'cycle').length).toBeGreaterThan(1), { timeout: 15_000 });
}, 40_000);

test('dead BMCs do not delay the other servers', async () => {
  const bmcs = new Map<string, SimulatedBmc>();
  const names = Array.from({ length: 40 }, (_, at) => `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`);
  names.forEach((name, at) => bmcs.set(name, new SimulatedBmc({ chassis: new MemoryChassis({ isOn: true }), faults: at < 39 ? { lost: 1 } : {} })));
  const driver = definePlugin({
    name: 'slow-power',
    options: z.strictObject({}),
    setup: ({ powerDrivers }) =>
      powerDrivers.add(simulatorDriver({ needsLogin: false, timeoutMs: 25_000, bmcOf: ({ metadata }) => bmcs.get(metadata.name) })),
  });
  const objects = names.map((name) => aServer({ metadata: { name }, spec: { hardware: { system: { uuid: name } } }, status: { isClean: true } }));
  await using sidero = await testSidero({ plugins: [driver()], objects });
  const started = performance.now();
  await becomes(sidero, { power: 'off', ready: true }, names[39]);
  expect(performance.now() - started).toBeLessThan(15_000);
}, 60_000);

test.each([
  ['a missing Secret', { spec: { bmc: { endpoint: '10.0.0.7', userFrom: ref('user'), passFrom: ref('pass') } } }, {}],
  ['a dead BMC', { spec: { bmc: { endpoint: '10.0.0.7', user: 'admin', pass: 'right' } } }, { lost: 1 }],
])(
  'a Server with %s can be deleted, and nothing is done to its machine',
  async (_, overrides, faults) => {
    const chassis = new MemoryChassis({ isOn: true });
    const bmc = new SimulatedBmc({ chassis, faults });
    await using sidero = await testSidero({
      site: SITE,
      plugins: [withLogin(bmc)],
      objects: [aServer({ ...overrides, status: { isClean: false } } as Overrides<Server>)],
    });
    await becomes(sidero, { ready: false, step: { name: 'BmcTrouble' }, power: 'unknown' });

    await sidero.resources.remove(ServerKind, { name: FIXTURE_UUID });

    await vi.waitFor(async () => expect(await get(sidero)).toBeUndefined(), { timeout: 15_000 });
    expect(bmc.control.actions).toEqual([]);
  },
  40_000,
);

test('two Servers with one BMC reboot nobody, and each says what to do', async () => {
  const control = new SimulatedBmc({ chassis: new MemoryChassis({ isOn: true }) });
  const driver = definePlugin({
    name: 'one-bmc',
    options: z.strictObject({}),
    setup: ({ powerDrivers }) =>
      powerDrivers.add({ ...simulatorDriver({ needsLogin: false, bmcOf: () => control }), deviceOf: () => '10.0.0.7:623' }),
  });
  const names = [FIXTURE_UUID, '00000000-0000-4000-8000-000000000002'];
  const objects = names.map((name) => aServer({ metadata: { name }, spec: { hardware: { system: { uuid: name } } }, status: { isClean: false } }));
  await using sidero = await testSidero({ site: SITE, plugins: [driver()], objects });
  for (const [at, name] of names.entries()) {
    const reason = expect.stringMatching(`Server ${names[1 - at]} names the same device.* Next: correct the address of the BMC`);
    await becomes(sidero, { step: { name: 'PowerFailing', reason } }, name);
  }
  expect(control.control.actions).toEqual([]);
}, 40_000);

test('a login that is put into the Secret takes effect at once', async () => {
  const bmc = new SimulatedBmc({ chassis: new MemoryChassis({ isOn: true }), users: [{ name: 'admin', password: 'right' }] });
  const server = aServer({ spec: { bmc: { endpoint: '10.0.0.7', userFrom: ref('user'), passFrom: ref('pass') } } });
  await using sidero = await testSidero({ plugins: [withLogin(bmc)], objects: [server] });
  const management = (fields: object) => ({ conditions: expect.arrayContaining([expect.objectContaining({ type: 'PowerManagement', ...fields })]) });
  await becomes(sidero, management({ status: 'False', reason: 'LoginMissing' }));

  const data = { user: Buffer.from('admin').toString('base64'), pass: Buffer.from('right').toString('base64') };
  await sidero.resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'default', name: 'bmc' }, data });

  // Errors are tried again after 20 s: this is faster.
  await vi.waitFor(async () => expect(await statusOf(sidero)).toMatchObject({ power: 'off', ...management({ status: 'True' }) }), {
    timeout: 15_000,
  });
}, 60_000);

test('a server at rest costs no write', async () => {
  await using rack = await aRack({ status: { isClean: true } }, { more: { site: { ...SITE, powerPollMs: 1000 } } });
  const { sidero, bmc } = rack;
  await becomes(sidero, { power: 'off', ready: true, conditions: expect.arrayContaining([expect.objectContaining({ type: 'PowerCapabilities' })]) });
  const { resourceVersion } = (await get(sidero))!.metadata;
  let looks = 0;
  const readPower = bmc.readPower.bind(bmc);
  bmc.readPower = () => (looks++, readPower());
  await vi.waitFor(() => expect(looks).toBeGreaterThan(4), { timeout: 15_000 });
  expect((await get(sidero))!.metadata.resourceVersion).toBe(resourceVersion);
}, 30_000);

test('a server that another installation has fenced is left alone until it is adopted', async () => {
  const metadata = { annotations: { [FENCE_ANNOTATION]: 'another-cluster/3' } };
  await using rack = await aRack({ metadata, status: { isClean: true } }, { isOn: true });
  const { sidero, bmc } = rack;
  await becomes(sidero, { ready: false, power: 'unknown', step: { name: 'Fenced' } });
  expect(await sidero.lifecycle.wipe((await get(sidero))!)).toHaveProperty('hold');
  expect(bmc.control.actions).toEqual([]);

  await annotate(sidero, ADOPT_ANNOTATION, adoptionOf((await get(sidero))!, await readInstallation(sidero.resources)));

  await becomes(sidero, { power: 'off', ready: true });
  expect((await get(sidero))?.metadata.annotations).toEqual({ [FENCE_ANNOTATION]: expect.stringMatching(/^[0-9a-f-]{36}\/4$/) as string });
}, 30_000);

test('a request is done once, also on a server in use, and is answered', async () => {
  await using rack = await aRack({}, { isOn: true, more: { objects: [aBinding()], site: { ...SITE, powerPollMs: 60_000 } } });
  const { sidero, bmc } = rack;
  await becomes(sidero, { step: { name: 'InUse' } });

  await annotate(sidero, REQUEST_ANNOTATION, 'power-cycle 0a1b2c3d');

  await becomes(sidero, { powerAction: { request: 'power-cycle 0a1b2c3d', state: 'done', purpose: 'request' } });
  await expect.poll(async () => (await get(sidero))?.metadata.annotations).not.toHaveProperty(REQUEST_ANNOTATION);
  expect(bmc.control.actions).toEqual(['cycle']);
  expect((await eventsOf(sidero)).join('\n')).toContain('Server power cycled on request.');
}, 30_000);

test('a power state that a person wants kept is kept, also for a server in use', async () => {
  await using rack = await aRack({}, { isOn: true, more: { objects: [aBinding()], site: { ...SITE, rebootTimeoutMs: 2000 } } });
  const { sidero, bmc, chassis } = rack;
  await annotate(sidero, POWER_ANNOTATION, 'off');
  await becomes(sidero, { power: 'off', step: { name: 'PowerHeld' } });
  chassis.powerOn({ device: 'normal', isPersistent: false });
  await vi.waitFor(() => expect(bmc.control.actions).toEqual(['off', 'off']), { timeout: 30_000 });
}, 60_000);

test('a request to wipe takes a clean server back, and a plan is shown without anything being done', async () => {
  await using rack = await aRack({ status: { isClean: true } });
  const { sidero, bmc } = rack;
  await becomes(sidero, { ready: true, power: 'off' });
  await annotate(sidero, REQUEST_ANNOTATION, 'wipe-plan 1');
  await becomes(sidero, { powerAction: { request: 'wipe-plan 1', state: 'failed', problem: 'the Server is clean' } });
  expect(bmc.control.actions).toEqual([]);
  await annotate(sidero, REQUEST_ANNOTATION, 'wipe 2');
  await becomes(sidero, { isClean: false, powerAction: { purpose: 'wipe', state: 'waiting' } });
}, 30_000);

test('a released server that nobody can power-cycle says that its old system may still run', async () => {
  await using sidero = await testSidero({ objects: [aServer(), aBinding()] });
  await becomes(sidero, { inUse: true, power: 'unknown', ready: true });
  await sidero.resources.remove(ServerBindingKind, { name: FIXTURE_UUID });
  await becomes(sidero, {
    step: { name: 'NeedsHands' },
    conditions: [expect.objectContaining({ type: 'PowerManagement', status: 'False', reason: 'Unmanaged' })],
  });
  // Its status comes first, and its Events a moment later.
  await expect.poll(async () => (await eventsOf(sidero)).filter((message) => message.includes('its old system may still run'))).toHaveLength(1);
});

function ref(key: string) {
  return { secretKeyRef: { namespace: 'default', name: 'bmc', key } };
}

/** Power over one BMC that wants a login. */
function withLogin(bmc: SimulatedBmc) {
  return definePlugin({
    name: 'power-with-login',
    options: z.strictObject({}),
    setup: ({ powerDrivers }) => powerDrivers.add(simulatorDriver({ bmcOf: () => bmc })),
  })();
}
