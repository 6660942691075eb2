import { CoreV1Api } from '@kubernetes/client-node';
import { type DiskOutcome, ServerBindingKind, ServerKind, type ServerEvent, definePlugin } from '@sidero/core';
import { aBinding, aServer, FIXTURE_UUID, testSidero, type TestSidero } from '@sidero/testing';
import { afterEach, describe, expect, test } from 'vitest';
import * as z from 'zod';

const open: TestSidero[] = [];
afterEach(async () => {
  for (const sidero of open.splice(0)) await sidero.close();
});

const START = Date.parse('2026-11-22T12:00:00Z');
const devices = aServer().spec!.hardware!.storage!.devices!;
const dirty = () => aServer({ spec: { accepted: true }, status: { isClean: false, inUse: false } });
const plan = { method: 'zero', disks: [] } as const;

/** What the machine tells when all went well. */
const allDone = (more: Partial<DiskOutcome> = {}): DiskOutcome[] =>
  devices.map(({ deviceName, serialNumber, wwid, size }) => ({
    deviceName: deviceName!,
    ...(serialNumber && { serial: serialNumber }),
    ...(wwid && { wwn: wwid }),
    method: 'zero',
    state: 'done',
    sizeBytes: size!,
    doneBytes: size!,
    seconds: 9,
    samples: 60,
    ...more,
  }));

/** A dirty server whose boot was handed a wipe, at a clock that the test moves. */
async function handed(order: { plan: Parameters<TestSidero['lifecycle']['wipeHanded']>[1]['plan']; isByDisk?: boolean } = { plan }) {
  const clock = { ms: START };
  const events: ServerEvent[] = [];
  const listener = definePlugin({
    name: 'listener',
    options: z.strictObject({}),
    setup: ({ hooks }) => hooks.stream.tap('listener', (event) => void events.push(event)),
  });
  const sidero = await testSidero({ objects: [dirty()], now: () => new Date(clock.ms), plugins: [listener()] });
  open.push(sidero);
  const boot = async () => {
    const answer = await sidero.lifecycle.boot({ uuid: FIXTURE_UUID, mac: '52:54:00:00:00:01', arch: 'amd64', address: '10.0.0.50' });
    const token = 'args' in answer ? answer.args.find((arg) => arg.startsWith('sidero.token='))?.slice(13) : undefined;
    return sidero.lifecycle.admit({ uuid: FIXTURE_UUID, token, address: '10.0.0.50' });
  };
  const hand = async () => {
    const pass = await boot();
    await sidero.lifecycle.wipeHanded(pass, { isByDisk: true, ...order });
    return pass;
  };
  const pass = await hand();
  const server = async () => (await sidero.resources.get(ServerKind, { name: FIXTURE_UUID }, { live: true }))!;
  const record = async () => (await server()).status!.wipe!;
  return { ...sidero, clock, events, pass, hand, server, record };
}

async function warnings({ kubeConfig }: Pick<TestSidero, 'kubeConfig'>): Promise<string[]> {
  const { items } = await kubeConfig.makeApiClient(CoreV1Api).listNamespacedEvent({ namespace: 'default' });
  return items.filter(({ type, reason }) => type === 'Warning' && reason === 'Server Wipe').map(({ message }) => message ?? '');
}

describe('a wipe on record', () => {
  test('says what is to be done to each disk the machine reported', async () => {
    const [first] = devices;
    const rule = { serial: first!.serialNumber!, method: 'keep', reason: 'data' } as const;
    const { record } = await handed({ plan: { method: 'zero', disks: [rule] } });
    expect(await record()).toMatchObject({ state: 'handed', attempt: 1, method: 'zero', handedAt: new Date(START).toISOString() });
    expect((await record()).disks).toMatchObject(
      devices.map(({ deviceName }, index) =>
        index === 0 ? { deviceName, state: 'kept', method: 'keep', reason: 'data' } : { deviceName, state: 'pending', method: 'zero' },
      ),
    );
  });

  test('is the same attempt when the same boot asks again, and another one at the next boot', async () => {
    const { lifecycle, pass, hand, record, clock } = await handed();
    await lifecycle.wipeHanded(pass, { plan, isByDisk: true });
    expect((await record()).attempt).toBe(1);
    clock.ms += 30 * 60_000;
    await hand();
    expect((await record()).attempt).toBe(2);
  });

  test('moves with heartbeats, at most every two seconds unless a disk begins or ends', async () => {
    const { lifecycle, pass, record, clock, events } = await handed();
    const beat = (doneBytes: number) => lifecycle.wiping(pass, allDone({ state: 'running', doneBytes }));
    await beat(1000);
    expect(await record()).toMatchObject({ state: 'running', disks: devices.map(() => ({ state: 'running', doneBytes: 1000 })) });
    clock.ms += 500;
    await beat(2000);
    expect((await record()).disks?.[0]?.doneBytes).toBe(1000);
    clock.ms += 2000;
    await beat(3000);
    expect((await record()).disks?.[0]?.doneBytes).toBe(3000);
    clock.ms += 100;
    await lifecycle.wiping(pass, allDone());
    expect((await record()).disks?.[0]?.state).toBe('done');
    expect(events.filter(({ type }) => type === 'wiping')).toHaveLength(4);
  });

  test('ends with the evidence of every disk, and a second report of it changes nothing', async () => {
    const { lifecycle, pass, server } = await handed();
    await lifecycle.wiped(pass, allDone());
    // The loop has said its part by then.
    await expect.poll(async () => (await server()).status?.step?.name).toBe('Clean');
    const { status, metadata } = await server();
    expect(status).toMatchObject({ isClean: true, wipe: { state: 'done', disks: devices.map(() => ({ state: 'done', samples: 60, seconds: 9 })) } });
    await lifecycle.wiped(pass, allDone());
    expect((await server()).metadata.resourceVersion).toBe(metadata.resourceVersion);
  });

  test('of the agent of the original needs no evidence', async () => {
    const { lifecycle, pass, server } = await handed({ plan, isByDisk: false });
    expect(await lifecycle.wiping(pass)).toBeUndefined();
    await lifecycle.wiped(pass);
    expect((await server()).status).toMatchObject({ isClean: true, wipe: { state: 'done' } });
  });
});

describe('a server does not become clean', () => {
  test.each([
    [
      'a disk failed',
      () => allDone().map((disk, index) => (index === 0 ? { ...disk, state: 'failed', problem: 'it is read-only' } : disk)),
      'it is read-only',
    ],
    ['a disk is missing', () => allDone().slice(1), 'is missing'],
    [
      'a disk was kept that nobody asked to keep',
      () => allDone().map((disk, index) => (index === 0 ? { ...disk, state: 'kept' } : disk)),
      'not planned',
    ],
    ['a disk is still at it', () => allDone({ state: 'running' }), 'not done'],
    ['a disk that was not known before failed', () => [...allDone(), { deviceName: '/dev/sdz', state: 'failed' }], '/dev/sdz'],
    ['nothing was told', () => [], 'is missing'],
  ])('when %s', async (...[, told, words]) => {
    const given = await handed();
    await expect(given.lifecycle.wiped(given.pass, told())).rejects.toMatchObject({
      code: 'SIDERO_WIPE_INCOMPLETE',
      message: expect.stringContaining(words),
    });
    expect((await given.server()).status).toMatchObject({ isClean: false, wipe: { state: 'failed', message: expect.stringContaining(words) } });
    expect(await warnings(given)).toEqual([expect.stringContaining('attempt 1 of 3')]);
    await expect(given.lifecycle.wiped(given.pass, allDone())).rejects.toMatchObject({ code: 'SIDERO_WIPE_NOT_HANDED' });
  });

  test('when a disk to be kept was wiped', async () => {
    const keep = { serial: devices[0]!.serialNumber!, method: 'keep', reason: 'data' } as const;
    const { lifecycle, pass } = await handed({ plan: { method: 'zero', disks: [keep] } });
    await expect(lifecycle.wiped(pass, allDone())).rejects.toThrow('although it was to be kept');
  });
});

describe('a wipe is stopped', () => {
  test('when the server is allocated meanwhile, and that is no failed attempt', async () => {
    const { lifecycle, pass, record, resources } = await handed();
    await resources.create(ServerBindingKind, aBinding());
    expect(await lifecycle.wiping(pass, allDone({ state: 'pending', doneBytes: 0 }))).toEqual({ hold: expect.stringContaining('allocated') });
    expect(await record()).toMatchObject({ state: 'failed', attempt: 0, message: expect.stringContaining('called off') });
    await expect(lifecycle.wiped(pass, allDone())).rejects.toMatchObject({ code: 'SIDERO_WIPE_NOT_HANDED' });
  });

  test('when a disk that it has not finished is to be kept now; the others are wiped in the next round', async () => {
    const { lifecycle, pass, record, resources } = await handed();
    const [first] = devices;
    expect(await lifecycle.wiping(pass, allDone({ state: 'pending', doneBytes: 0 }))).toBeUndefined();
    await resources.change(ServerKind, { name: FIXTURE_UUID }, ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, 'metal.sidero.dev/keep-disks': `serial:${first!.serialNumber}` };
    });
    expect(await lifecycle.wiping(pass, allDone({ state: 'pending', doneBytes: 0 }))).toEqual({ hold: expect.stringContaining('is to be kept now') });
    expect(await record()).toMatchObject({ state: 'failed', attempt: 0, message: expect.stringContaining('is to be kept now') });
    expect(await lifecycle.wipe(dirty())).toMatchObject({ disks: [{ serial: first!.serialNumber, method: 'keep' }] });
  });

  test('when no byte has moved for the reboot timeout; it is told, and not begun again', async () => {
    const given = await handed();
    const { lifecycle, pass, clock, record, hand } = given;
    const standing = allDone({ state: 'running', doneBytes: 5 });
    for (let minutes = 0; minutes < 20; minutes += 4) {
      expect(await lifecycle.wiping(pass, standing)).toBeUndefined();
      clock.ms += 4 * 60_000;
    }
    expect(await lifecycle.wiping(pass, standing)).toEqual({ hold: expect.stringContaining('nothing moved for 1200 s') });
    expect(await record()).toMatchObject({ state: 'stalled', endedAt: new Date(clock.ms).toISOString() });
    await lifecycle.wipeFailed(pass, { message: 'stopped', disks: standing });
    expect(await record()).toMatchObject({ state: 'stalled' });
    expect(await lifecycle.wipe(dirty())).toEqual({ hold: expect.stringContaining(`sidero wipe ${FIXTURE_UUID}`) });
    expect(await warnings(given)).toEqual([expect.stringContaining('nothing moved')]);
    clock.ms += 60_000;
    expect(await lifecycle.wiping(await hand(), standing)).toBeUndefined();
  });

  test('when the machine itself gave up because nothing moved, and could tell only then', async () => {
    const { lifecycle, pass, clock, record } = await handed();
    await lifecycle.wiping(pass, allDone({ state: 'running', doneBytes: 5 }));
    clock.ms += 21 * 60_000;
    await lifecycle.wipeFailed(pass, { message: 'nothing moved for 1200 s', disks: allDone({ state: 'running', doneBytes: 5 }) });
    expect(await record()).toMatchObject({ state: 'stalled' });
  });

  test('for a boot that was handed none', async () => {
    const { lifecycle, pass } = await handed();
    expect(await lifecycle.wiping({ ...pass, bootId: 'another' }, allDone())).toEqual({ hold: 'this boot was not handed a wipe' });
  });
});

test('after three failures nothing is handed out until a person asks for it', async () => {
  const given = await handed();
  const { lifecycle, record, resources, clock } = given;
  let { pass } = given;
  for (let attempt = 1; attempt <= 3; attempt++) {
    expect(await lifecycle.wipe(dirty())).toMatchObject({ method: 'insecure' });
    await lifecycle.wipeFailed(pass, { message: '/dev/sda is gone', disks: allDone({ state: 'failed', problem: 'gone' }) });
    expect(await record()).toMatchObject({ state: 'failed', attempt, message: '/dev/sda is gone' });
    clock.ms += 5 * 60_000;
    if (attempt < 3) pass = await given.hand();
  }
  expect(await lifecycle.wipe(dirty())).toEqual({ hold: expect.stringMatching(/failed 3 times \(\/dev\/sda is gone\).*sidero wipe/) });
  expect(await warnings(given)).toEqual([1, 2, 3].map((attempt) => expect.stringContaining(`attempt ${attempt} of 3`)));
  await resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
    delete draft.status!.wipe;
  });
  expect(await lifecycle.wipe(dirty())).toMatchObject({ method: 'insecure' });
});

test('a machine that dies in each of three wipes is not given a fourth', async () => {
  const { lifecycle, hand, clock, pass, resources } = await handed();
  await lifecycle.wiping(pass, allDone({ state: 'running' }));
  for (let round = 0; round < 2; round++) {
    clock.ms += 30 * 60_000;
    await hand();
  }
  clock.ms += 30 * 60_000;
  expect(await lifecycle.wipe(dirty())).toMatchObject({ method: 'insecure' });
  await resources.change(ServerKind, { name: FIXTURE_UUID }, (draft) => {
    delete draft.status!.boot!.wipeHandedAt;
  });
  expect(await lifecycle.wipe(dirty())).toEqual({ hold: expect.stringContaining('begun 3 times and never ended') });
});

test('a plan that the machine cannot carry out is told once, and no more asked for until a person wants it', async () => {
  const { lifecycle, pass, server, record, kubeConfig } = await handed();
  const why = 'the agent on the machine cannot wipe by nvme-sanitize';
  await lifecycle.wipeRefused(pass, why);
  await lifecycle.wipeRefused(pass, why);
  expect(await record()).toMatchObject({ state: 'refused', message: why });
  expect(await lifecycle.wipe(await server())).toMatchObject({ hold: expect.stringContaining(`the wipe was not begun (${why})`) });
  // Whatever the machine says now, it did not do what was planned.
  await expect(lifecycle.wiped(pass, allDone())).rejects.toMatchObject({ code: 'SIDERO_WIPE_NOT_HANDED' });
  expect((await server()).status?.isClean).toBe(false);
  expect(await warnings({ kubeConfig })).toEqual([`Nothing is wiped: ${why}.`]);
});
