import {
  ADOPT_ANNOTATION,
  adoptionOf,
  type BootPass,
  type Claim,
  conditionOf,
  definePlugin,
  FENCE_ANNOTATION,
  type HardwareReport,
  type Kind,
  type KubeObject,
  markFalse,
  readInstallation,
  type RunningResourceClient,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import { caps, type MetalMachine, MetalMachineKind } from '@sidero/plugin-caps';
import { aBinding, aBootRequest, aHardware, aServer, type Overrides, simulatedPower } from '@sidero/testing';
import { MemoryChassis, NO_OVERRIDE, SimulatedBmc } from '@sidero/testing/bmc';
import { describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { ClusterKind, createCluster, createMachine, metalMachine, setPaused } from './clusters/cluster-api.ts';
import { StaleRack } from './clusters/stale-rack.ts';

// What the management plane knows is old here: before it does what cannot be undone, it has to look into the API itself.

const SITE = { rebootTimeoutMs: 20_000, powerPollMs: 1000 };
const CP_1 = { namespace: 'default', name: 'cp-1' };
const KEEP_DISKS = 'metal.sidero.dev/keep-disks';
const until = (assertion: () => Promise<void> | void) => vi.waitFor(assertion, { timeout: 30_000, interval: 30 });
const uuid = (number: number) => `4c4c4544-0000-4000-8000-${String(number).padStart(12, '0')}`;
const server = (number: number, more: Overrides<Server> = {}): Server =>
  aServer({ ...more, spec: { hardware: aHardware({ system: { uuid: uuid(number) } }, `machine-${number}`), ...more.spec } } as Overrides<Server>);

/** What may become of a Server, in the API, without the management plane hearing of it. */
type Change = (rack: StaleRack, name: string) => Promise<unknown>;
const edit =
  (change: (draft: Server) => void): Change =>
  ({ truth }, name) =>
    truth.change(ServerKind, { name }, change);
const bound: Change = ({ truth }, name) => truth.create(ServerBindingKind, aBinding({ metadata: { name } }));
const notAccepted = edit((draft) => void (draft.spec!.accepted = false));
const cordoned = edit((draft) => void (draft.spec!.cordoned = true));
const fenced = edit((draft) => void (draft.metadata.annotations = { ...draft.metadata.annotations, [FENCE_ANNOTATION]: 'another-cluster/7' }));
const deleted: Change = ({ truth }, name) => truth.remove(ServerKind, { name });
const dirty = edit((draft) => void (draft.status = { ...draft.status, isClean: false }));
const isFenced = ({ metadata }: Server) => metadata.annotations?.[FENCE_ANNOTATION] !== undefined;

describe('the power of a clean server that is on stays on', () => {
  test.each<[string, Change, string | undefined]>([
    ['when it was bound', bound, 'InUse'],
    ['when it is not accepted any more', notAccepted, 'AwaitingAcceptance'],
    ['when another installation has fenced it', fenced, 'Fenced'],
    ['when it is being deleted', deleted, undefined],
    ['when it was cordoned', cordoned, 'Cordoned'],
  ])('%s, which nobody here has heard of', async (_, change, outcome) => {
    const chassis = new MemoryChassis();
    const bmc = new SimulatedBmc({ chassis });
    await using rack = await StaleRack.start({ objects: [server(1)], site: SITE, plugins: [simulatedPower(() => bmc)] });
    const { truth, watches } = rack;
    const now = () => truth.get(ServerKind, { name: uuid(1) }, { live: true });
    await until(async () => expect((await now())?.status).toMatchObject({ step: { name: 'Clean' }, power: 'off' }));
    watches.hold(ServerKind, ServerBindingKind);
    await change(rack, uuid(1));
    // As whoever has it now would do.
    chassis.powerOn(NO_OVERRIDE);
    await until(async () => {
      const { powerAction, step } = (await now())?.status ?? {};
      expect([powerAction?.state, step?.name]).not.toEqual([undefined, 'Clean']);
    });
    watches.release();
    await until(async () => expect((await now())?.status?.step?.name).toBe(outcome));
    expect([bmc.control.actions, chassis.isOn()]).toEqual([[], true]);
  });
});

test('a server in use that is off is not switched on once its MetalMachine is gone, of which nobody here has heard: it may have been moved', async () => {
  const chassis = new MemoryChassis({ isOn: true });
  const bmc = new SimulatedBmc({ chassis });
  const binding = aBinding({ metadata: { name: uuid(1) } });
  await using rack = await StaleRack.start({ objects: [server(1), binding], site: SITE, plugins: [simulatedPower(() => bmc)] });
  const { truth, watches } = rack;
  const statusNow = async () => (await truth.get(ServerKind, { name: uuid(1) }, { live: true }))?.status;
  await until(async () => expect((await statusNow())?.step?.name).toBe('InUse'));
  watches.hold(ServerBindingKind);
  await truth.change(ServerBindingKind, { name: uuid(1) }, (draft) => {
    draft.status = {
      ...draft.status,
      conditions: markFalse([], { type: 'MetalMachineExists', reason: 'MayHaveMoved', severity: 'Warning', message: '' }, new Date()),
    };
  });
  // As the installation that has it now would have it.
  chassis.powerOff();
  await until(async () => expect((await statusNow())?.step?.name).toBe('Doubtful'));
  expect([bmc.control.actions, chassis.isOn()]).toEqual([[], false]);
});

describe('the disks of a dirty, free server are left alone', () => {
  const boot = { id: 'the-boot', address: '127.0.0.1', mac: '', handedAt: new Date().toISOString() };
  const pass = (name: string): BootPass => ({ uuid: name, bootId: boot.id, proven: true });
  const UNDER_WAY = { state: 'running', attempt: 1, method: 'insecure', handedAt: boot.handedAt, seenAt: boot.handedAt } as const;
  const isWiping = { ...boot, wipeHandedAt: boot.handedAt };
  /** Ours, with nobody who switches their power: the loop over servers leaves them to these tests. */
  async function dirtyServers(count: number, status: Server['status']): Promise<StaleRack> {
    const objects = Array.from({ length: count }, (_, index) => server(index + 1, { status: { isClean: false, ...status } } as Overrides<Server>));
    const rack = await StaleRack.start({ objects, site: SITE });
    for (const { metadata } of objects)
      await until(async () => expect(isFenced((await rack.truth.get(ServerKind, metadata, { live: true }))!)).toBe(true));
    return rack;
  }
  const CHANGES: readonly [string, Change, RegExp][] = [
    ['bound', bound, /allocated/],
    ['not accepted any more', notAccepted, /not accepted/],
    ['cordoned', cordoned, /cordoned/],
    ['fenced by another installation', fenced, /another installation/],
    ['to be deleted', deleted, /deleted/],
  ];

  test('when it was bound, cordoned, fenced, deleted, or is not accepted any more: no wipe is handed out', async () => {
    await using rack = await dirtyServers(CHANGES.length, {});
    const { sidero, watches } = rack;
    watches.hold(ServerKind, ServerBindingKind);
    for (const [index, [what, change, hold]] of CHANGES.entries()) {
      const name = uuid(index + 1);
      const known = (await sidero.resources.get(ServerKind, { name }))!;
      await change(rack, name);
      expect(await sidero.kernel.lifecycle.wipe(known), what).toEqual({ hold: expect.stringMatching(hold) as string });
    }
  });

  test('when it was cordoned, fenced, deleted, booted anew, or is not accepted any more after its wipe was planned: it is not handed out', async () => {
    const bootedAnew = edit((draft) => void (draft.status = { ...draft.status, boot: { ...boot, id: 'the-next-boot' } }));
    const changes: typeof CHANGES = [...CHANGES.filter(([what]) => what !== 'bound'), ['booted anew', bootedAnew, /another boot/]];
    await using rack = await dirtyServers(changes.length, { boot });
    const { sidero, truth, watches } = rack;
    watches.hold(ServerKind);
    for (const [index, [what, change, why]] of changes.entries()) {
      const name = uuid(index + 1);
      await change(rack, name);
      const handed = await sidero.kernel.lifecycle.wipeHanded(pass(name), { plan: { method: 'insecure', disks: [] }, isByDisk: true });
      expect(handed, what).toEqual({ hold: expect.stringMatching(why) as string });
      expect((await truth.get(ServerKind, { name }, { live: true }))?.status?.wipe, what).toBeUndefined();
    }
  });

  test('when it was bound, cordoned, fenced, deleted, or is not accepted any more: a wipe that runs is stopped, and its end is no clean mark', async () => {
    await using rack = await dirtyServers(CHANGES.length, { boot: isWiping, wipe: UNDER_WAY });
    const { sidero, truth, watches } = rack;
    watches.hold(ServerKind, ServerBindingKind);
    for (const [index, [what, change, hold]] of CHANGES.entries()) {
      const name = uuid(index + 1);
      await change(rack, name);
      expect(await sidero.kernel.lifecycle.wiping(pass(name)), what).toEqual({ hold: expect.stringMatching(hold) as string });
      await expect(sidero.kernel.lifecycle.wiped(pass(name)), what).rejects.toMatchObject({ code: 'SIDERO_WIPE_NOT_HANDED' });
      expect((await truth.get(ServerKind, { name }, { live: true }))?.status?.isClean, what).not.toBe(true);
    }
  });

  test('when it was bound, or is not accepted any more: that its wipe ended is no clean mark, though nobody had it stopped', async () => {
    await using rack = await dirtyServers(2, { boot: isWiping, wipe: UNDER_WAY });
    const { sidero, truth, watches } = rack;
    watches.hold(ServerKind, ServerBindingKind);
    for (const [index, change] of [bound, notAccepted].entries()) {
      const name = uuid(index + 1);
      await change(rack, name);
      await expect(sidero.kernel.lifecycle.wiped(pass(name))).rejects.toMatchObject({ code: 'SIDERO_WIPE_NOT_HANDED' });
      expect((await truth.get(ServerKind, { name }, { live: true }))?.status?.isClean).toBe(false);
    }
  });

  test('as far as an annotation of a ServerClass keeps them, made a moment ago', async () => {
    await using rack = await dirtyServers(1, {});
    const { sidero, truth, watches } = rack;
    await until(async () => expect(await sidero.resources.get(ServerClassKind, { name: 'any' })).toBeDefined());
    watches.hold(ServerClassKind);
    await truth.change(ServerClassKind, { name: 'any' }, ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, [KEEP_DISKS]: 'serial:KEEP-ME' };
    });
    const known = (await sidero.resources.get(ServerKind, { name: uuid(1) }))!;
    expect(await sidero.kernel.lifecycle.wipe(known)).toMatchObject({ disks: [{ serial: 'KEEP-ME', method: 'keep' }] });
  });
});

describe('a machine that registers once more', () => {
  const boot = { id: 'the-boot', address: '127.0.0.1', mac: '', handedAt: new Date().toISOString(), seenAt: new Date().toISOString() };
  const pass: BootPass = { uuid: uuid(1), bootId: boot.id, proven: true };
  const report = (change: (hardware: HardwareReport['hardware']) => void = () => undefined): HardwareReport => {
    const { hardware, hostname } = structuredClone(server(1).spec!);
    change(hardware!);
    return { uuid: uuid(1), hardware: hardware!, hostname: hostname!, address: boot.address, capabilities: [] };
  };
  const booted = (accepted: boolean) => server(1, { spec: { accepted }, status: { boot } } as Overrides<Server>);

  test('is not accepted again, also where every machine is, when a person has accepted it and taken that back, of which nobody here has heard', async () => {
    const acceptsAll = definePlugin({
      name: 'accepts-all',
      options: z.strictObject({}),
      setup: ({ hooks }) => hooks.accept.tap('accepts-all', () => ({ accepted: true, reason: 'every machine is' })),
    });
    await using rack = await StaleRack.start({ objects: [booted(false)], site: SITE, plugins: [acceptsAll()] });
    const { sidero, truth, watches } = rack;
    await until(async () => expect(await sidero.resources.get(ServerKind, { name: uuid(1) })).toBeDefined());
    watches.hold(ServerKind);
    const installation = await readInstallation(truth);
    // What only a Server has that was accepted once.
    await truth.change(ServerKind, { name: uuid(1) }, ({ metadata }) => void (metadata.annotations = { [FENCE_ANNOTATION]: `${installation}/1` }));
    const { server: registered } = await sidero.kernel.lifecycle.discover(report(), pass);
    expect([registered.spec?.accepted, (await truth.get(ServerKind, { name: uuid(1) }, { live: true }))?.spec?.accepted]).toEqual([false, false]);
  });

  test('with the token of a boot that another one has replaced, of which nobody here has heard, does not get its right to act back', async () => {
    await using rack = await StaleRack.start({ objects: [booted(true)], site: SITE });
    const { sidero, truth, watches } = rack;
    await until(async () => expect((await sidero.resources.get(ServerKind, { name: uuid(1) }))?.status?.boot?.id).toBe(boot.id));
    watches.hold(ServerKind);
    await truth.change(ServerKind, { name: uuid(1) }, (draft) => void (draft.status = { ...draft.status, boot: { ...boot, id: 'the-next-boot' } }));
    await expect(sidero.kernel.lifecycle.discover(report(), pass)).rejects.toMatchObject({ code: 'SIDERO_BOOT_TOKEN_INVALID' });
    expect((await truth.get(ServerKind, { name: uuid(1) }, { live: true }))?.status?.boot?.id).toBe('the-next-boot');
  });

  test('is taken with other parts when a person has said so a moment ago', async () => {
    await using rack = await StaleRack.start({ objects: [booted(true)], site: SITE });
    const { sidero, truth, watches } = rack;
    await until(async () => expect(isFenced((await sidero.resources.get(ServerKind, { name: uuid(1) }))!)).toBe(true));
    watches.hold(ServerKind);
    const installation = await readInstallation(truth);
    await truth.change(ServerKind, { name: uuid(1) }, (draft) => {
      draft.metadata.annotations = { ...draft.metadata.annotations, [ADOPT_ANNOTATION]: adoptionOf(draft, installation) };
    });
    const swapped = report((hardware) => void (hardware.system = { ...hardware.system, serialNumber: 'THE-NEW-BOARD' }));
    const { server: registered } = await sidero.kernel.lifecycle.discover(swapped, pass);
    expect(registered.spec?.hardware?.system?.serialNumber).toBe('THE-NEW-BOARD');
  });
});

describe('a server is given to nobody', () => {
  const claim = (more: Partial<Claim>): Claim => ({ namespace: 'default', name: 'cp-1', uid: 'the-uid', ...more });

  test('when it was made dirty, cordoned, deleted, or is not accepted any more, which nobody here has heard of', async () => {
    const changes: readonly [string, Change][] = [
      ['dirty', dirty],
      ['cordoned', cordoned],
      ['to be deleted', deleted],
      ['not accepted any more', notAccepted],
    ];
    await using rack = await StaleRack.start({ objects: changes.map((_, index) => server(index + 1)), site: SITE });
    const { sidero, truth, watches } = rack;
    for (const index of changes.keys())
      await until(async () => expect(isFenced((await truth.get(ServerKind, { name: uuid(index + 1) }, { live: true }))!)).toBe(true));
    watches.hold(ServerKind, ServerBindingKind);
    for (const [index, [what, change]] of changes.entries()) {
      const name = uuid(index + 1);
      await change(rack, name);
      const asked = sidero.kernel.lifecycle.allocate(claim({ server: name, name: `m-${index}` }));
      await expect(asked, what).rejects.toMatchObject({ code: 'SIDERO_ALLOCATE_NONE' });
      expect(await truth.get(ServerBindingKind, { name }, { live: true }), what).toBeUndefined();
    }
  });

  test('when another installation has fenced it a moment ago', async () => {
    await using rack = await StaleRack.start({ objects: [server(1)], site: SITE });
    const { sidero, truth, watches } = rack;
    await until(async () => expect(isFenced((await truth.get(ServerKind, { name: uuid(1) }, { live: true }))!)).toBe(true));
    await until(async () => expect(await sidero.resources.get(ServerClassKind, { name: 'any' })).toBeDefined());
    watches.hold(ServerKind);
    await fenced(rack, uuid(1));
    await expect(sidero.kernel.lifecycle.allocate(claim({ serverClass: 'any' }))).rejects.toMatchObject({ code: 'SIDERO_ALLOCATE_NONE' });
  });
});

describe('a claim has one server', () => {
  const claim: Claim = { namespace: 'default', name: 'cp-1', uid: 'the-uid', serverClass: 'any' };

  test('the one that another replica gave it a moment ago, not a second one', async () => {
    await using rack = await StaleRack.start({ objects: [server(1), server(2)], site: SITE });
    const { sidero, truth, watches } = rack;
    await until(async () => expect(await sidero.resources.get(ServerClassKind, { name: 'any' })).toBeDefined());
    watches.hold(ServerBindingKind);
    const spec = { metalMachineRef: { kind: 'MetalMachine', namespace: 'default', name: 'cp-1', uid: 'the-uid' } };
    await truth.create(ServerBindingKind, aBinding({ metadata: { name: uuid(1) }, spec }));
    expect((await sidero.kernel.lifecycle.allocate(claim)).metadata.name).toBe(uuid(1));
    expect(await truth.list(ServerBindingKind, {}, { live: true })).toHaveLength(1);
  });

  test('and not one whose ServerBinding was lost a moment ago', async () => {
    await using rack = await StaleRack.start({ objects: [server(1), server(2)], site: SITE });
    const { sidero, truth, watches } = rack;
    await until(async () => expect(await sidero.resources.get(ServerClassKind, { name: 'any' })).toBeDefined());
    const { metadata: first } = await sidero.kernel.lifecycle.allocate(claim);
    watches.hold(ServerBindingKind);
    await truth.remove(ServerBindingKind, first);
    const { metadata: second } = await sidero.kernel.lifecycle.allocate(claim);
    expect((await truth.get(ServerBindingKind, second, { live: true }))?.metadata.uid).toBe(second.uid);
  });
});

test('a MetalMachine does not write down a server whose ServerBinding was lost and made for another one, of which nobody here has heard', async () => {
  await using rack = await StaleRack.start({ objects: [server(1), server(2)], site: SITE, plugins: [caps()] });
  const { sidero, truth, watches } = rack;
  const [name, other] = [uuid(1), uuid(2)];
  await createCluster(truth);
  watches.hold(MetalMachineKind);
  const { uid } = (await createMachine(truth, 'cp-1')).metadata;
  // Ready for a server, so that the next step is to say which one it has.
  await truth.change(MetalMachineKind, CP_1, ({ metadata }) => void (metadata.finalizers = ['metalmachine.infrastructure.cluster.x-k8s.io']));
  const of = (owner: object) => aBinding({ metadata: { name }, spec: { metalMachineRef: { kind: 'MetalMachine', namespace: 'default', ...owner } } });
  await truth.create(ServerBindingKind, of({ name: 'cp-1', uid }));
  await until(async () => expect(await sidero.resources.get(ServerBindingKind, { name })).toBeDefined());
  watches.hold(ServerBindingKind);
  await truth.remove(ServerBindingKind, { name });
  await truth.create(ServerBindingKind, of({ name: 'cp-2', uid: 'of-cp-2' }));
  const looked = watches.nextGet(ServerBindingKind, name);
  while ((await watches.letOnePass(MetalMachineKind)) !== 'MODIFIED');
  await looked;
  watches.release();
  await until(async () => expect((await metalMachine(truth, 'cp-1'))?.spec?.providerID).toBe(`sidero://${other}`));
});

describe('a server in use', () => {
  const isInstalled = { status: { conditions: [{ type: 'TalosInstalled', status: 'True', lastTransitionTime: new Date().toISOString() }] } };

  test('boots from its disk when its ServerBinding was lost and is back, of which only the loss was heard', async () => {
    const binding = aBinding({ ...isInstalled, metadata: { name: uuid(1) } } as Overrides<ServerBinding>);
    await using rack = await StaleRack.start({ objects: [server(1), binding], site: SITE });
    const { sidero, truth, watches } = rack;
    const name = uuid(1);
    const types = async () => (await truth.get(ServerKind, { name }, { live: true }))?.status?.conditions?.map(({ type }) => type);
    await until(async () => expect(await types()).toContain('PXEBooted'));
    watches.hold(ServerBindingKind);
    const lost = (await truth.get(ServerBindingKind, { name }, { live: true }))!;
    await truth.remove(ServerBindingKind, { name });
    const { uid } = (await truth.create(ServerBindingKind, aBinding({ metadata: { name } }))).metadata;
    await watches.letOnePass(ServerBindingKind);
    await until(async () => expect((await sidero.resources.get(ServerBindingKind, { name }))?.metadata.uid).toBe(uid));
    expect(uid).not.toBe(lost.metadata.uid);
    expect(await types()).toContain('PXEBooted');
  });

  const withCaps = (orphanGraceMs: number) => StaleRack.start({ objects: [server(1), server(2)], site: SITE, plugins: [caps({ orphanGraceMs })] });

  /** A machine of Cluster API gets the first server. */
  async function aNode({ truth }: StaleRack): Promise<MetalMachine> {
    await createCluster(truth);
    await createMachine(truth, 'cp-1', { spec: { serverRef: { kind: 'Server', name: uuid(1) } } });
    await until(async () => expect((await metalMachine(truth, 'cp-1'))?.status?.ready).toBe(true));
    return (await metalMachine(truth, 'cp-1'))!;
  }

  test('is not freed by the deletion of a MetalMachine that had it before', async () => {
    await using rack = await withCaps(600_000);
    await aNode(rack);
    const { truth, watches } = rack;
    const name = uuid(1);
    watches.hold(ServerBindingKind);
    await truth.remove(ServerBindingKind, { name });
    const { uid } = (await truth.create(ServerBindingKind, aBinding({ metadata: { name } }))).metadata;
    await truth.remove(MetalMachineKind, CP_1);
    await until(async () => expect(await metalMachine(truth, 'cp-1')).toBeUndefined());
    expect((await truth.get(ServerBindingKind, { name }, { live: true }))?.metadata.uid).toBe(uid);
  });

  /** The MetalMachine goes by force: the finalizer that would have let its server go is taken off. */
  async function forceAway({ truth }: StaleRack): Promise<void> {
    await setPaused(truth, true);
    await until(async () =>
      expect((await metalMachine(truth, 'cp-1'))?.status?.v1beta2?.conditions).toContainEqual(
        expect.objectContaining({ type: 'Paused', status: 'True' }),
      ),
    );
    await truth.change(MetalMachineKind, CP_1, (draft) => void (draft.metadata.finalizers = []));
    await truth.remove(MetalMachineKind, CP_1);
  }

  /** Twice: the second look at a ServerBinding begins when the first one is over. */
  async function looksAgain({ truth, watches }: StaleRack): Promise<void> {
    await watches.nextList(MetalMachineKind);
    const again = watches.nextList(MetalMachineKind);
    await truth.change(ServerKind, { name: uuid(1) }, ({ metadata }) => void (metadata.labels = { ...metadata.labels, touched: 'yes' }));
    await again;
  }

  test('is not freed as an orphan when its MetalMachine is back, of which only the loss was heard', async () => {
    await using rack = await withCaps(0);
    const { status: _status, ...machine } = await aNode(rack);
    const { sidero, truth, watches } = rack;
    const { uid } = (await truth.get(ServerBindingKind, { name: uuid(1) }, { live: true }))!.metadata;
    watches.hold(MetalMachineKind);
    await forceAway(rack);
    const { uid: _, resourceVersion: __, creationTimestamp: ___, generation: ____, ...metadata } = machine.metadata;
    await truth.create(MetalMachineKind, { ...machine, metadata });
    while ((await watches.letOnePass(MetalMachineKind)) !== 'DELETED');
    await until(async () => expect(await sidero.resources.get(MetalMachineKind, CP_1)).toBeUndefined());
    const looks = looksAgain(rack);
    await setPaused(truth, false);
    await looks;
    watches.release();
    await until(async () => expect((await metalMachine(truth, 'cp-1'))?.status?.ready).toBe(true));
    expect((await truth.get(ServerBindingKind, { name: uuid(1) }, { live: true }))?.metadata.uid).toBe(uid);
  });

  const conditionNow = async ({ truth }: StaleRack): Promise<string | undefined> =>
    conditionOf((await truth.get(ServerBindingKind, { name: uuid(1) }, { live: true }))?.status?.conditions, 'MetalMachineExists')?.reason;

  test.each<[string, Kind<KubeObject>, (truth: RunningResourceClient) => Promise<unknown>, (rack: StaleRack) => Promise<unknown>]>([
    [
      'it was bound to another one meanwhile',
      ServerBindingKind,
      async (truth) => {
        await truth.remove(ServerBindingKind, { name: uuid(1) });
        await truth.create(ServerBindingKind, aBinding({ metadata: { name: uuid(1) } }));
      },
      looksAgain,
    ],
    [
      'its cluster was paused meanwhile',
      ClusterKind,
      (truth) => setPaused(truth, true),
      (rack) => until(async () => expect(await conditionNow(rack)).toBe('ClusterPaused')),
    ],
    ['its cluster was moved away meanwhile', ClusterKind, (truth) => truth.remove(ClusterKind, { namespace: 'default', name: 'rack-1' }), looksAgain],
  ])('is not freed as an orphan when %s, which nobody here has heard of', async (...[, kind, change, isOver]) => {
    await using rack = await withCaps(2000);
    await aNode(rack);
    const { truth, watches } = rack;
    await forceAway(rack);
    const uidNow = async () => (await truth.get(ServerBindingKind, { name: uuid(1) }, { live: true }))?.metadata.uid;
    await setPaused(truth, false);
    await until(async () => expect(await conditionNow(rack)).toBe('MetalMachineGone'));
    watches.hold(kind);
    const over = isOver(rack);
    await change(truth);
    const uid = await uidNow();
    expect(uid).toBeDefined();
    await over;
    expect(await uidNow()).toBe(uid);
  });
});

describe('a machine that is to be installed', () => {
  const request = (number: number) => aBootRequest({ uuid: uuid(number) });

  test('counts as dirty from the moment it is told to boot: the ServerBinding may be lost before the loop over servers has looked', async () => {
    const chassis = new MemoryChassis();
    const bmc = new SimulatedBmc({ chassis });
    const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    // Holds the loop up where it asks whether a clean server that is on may be switched off.
    const slow = definePlugin({
      name: 'slow',
      options: z.strictObject({}),
      setup: ({ hooks }) =>
        hooks.wipe.tapPromise('slow', async (plan) => {
          asked.resolve();
          await answer.promise;
          return plan;
        }),
    });
    await using rack = await StaleRack.start({ objects: [server(1)], site: SITE, plugins: [simulatedPower(() => bmc), slow()] });
    const { sidero, truth } = rack;
    const name = uuid(1);
    const now = async () => (await truth.get(ServerKind, { name }, { live: true }))!;
    await until(async () => expect((await now()).status?.step?.name).toBe('Clean'));
    chassis.powerOn(NO_OVERRIDE);
    await asked.promise;
    await bound(rack, name);
    await until(async () => expect(await sidero.kernel.lifecycle.boot(request(1))).toMatchObject({ target: 'environment' }));
    expect((await now()).status).toMatchObject({ isClean: false, inUse: false });
    await truth.remove(ServerBindingKind, { name });
    answer.resolve();
    // As one that was in use.
    await until(async () => expect((await now()).status?.powerAction?.purpose).toBe('wipe'));
  });

  test('and was wiped before: the end of that wipe, told once more, makes it clean no more', async () => {
    const boot = { id: 'the-boot', address: '127.0.0.1', mac: '', handedAt: new Date().toISOString(), wipeHandedAt: new Date().toISOString() };
    const status = { isClean: false, boot, wipe: { state: 'done', attempt: 1, method: 'insecure', endedAt: boot.handedAt } };
    await using rack = await StaleRack.start({ objects: [server(1, { status } as Overrides<Server>)], site: SITE });
    const pass = { uuid: uuid(1), bootId: boot.id, proven: true };
    await expect(rack.sidero.kernel.lifecycle.wiped(pass)).rejects.toMatchObject({ code: 'SIDERO_WIPE_NOT_HANDED' });
    expect((await rack.truth.get(ServerKind, { name: uuid(1) }, { live: true }))?.status?.isClean).toBe(false);
  });

  test('waits until its MetalMachine says that it has it: without that nobody would know whose it is, should the ServerBinding be lost', async () => {
    await using rack = await StaleRack.start({ objects: [server(1)], site: SITE, plugins: [caps()] });
    const { sidero, truth, watches } = rack;
    const name = uuid(1);
    await createCluster(truth);
    watches.hold(MetalMachineKind);
    const { metadata } = await createMachine(truth, 'cp-1');
    const spec = { metalMachineRef: { kind: 'MetalMachine', namespace: 'default', name: 'cp-1', uid: metadata.uid } };
    await truth.create(ServerBindingKind, aBinding({ metadata: { name }, spec } as Overrides<ServerBinding>));
    await until(async () => expect(await sidero.resources.get(ServerBindingKind, { name })).toBeDefined());
    expect(await sidero.kernel.lifecycle.boot(request(1))).toMatchObject({
      target: 'wait',
      status: 503,
      reason: expect.stringContaining('cp-1') as string,
    });
    watches.release();
    await until(async () => expect(await sidero.kernel.lifecycle.boot(request(1))).toMatchObject({ target: 'environment' }));
    expect((await metalMachine(truth, 'cp-1'))?.spec?.providerID).toBe(`sidero://${name}`);
  });
});
