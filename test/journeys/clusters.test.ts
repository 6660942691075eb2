import {
  definePlugin,
  EventKind,
  isTrue,
  type KubeEvent,
  markTrue,
  type Metrics,
  type Plugin,
  type ResourceClient,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import { caps, MetalClusterKind, MetalMachineKind } from '@sidero/plugin-caps';
import { aBootRequest, aHardware, aServer, simulatedPower, type TestSidero, testSidero } from '@sidero/testing';
import { MemoryChassis, NO_OVERRIDE, SimulatedBmc } from '@sidero/testing/bmc';
import { describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { ClusterKind, clusterApiKinds, createCluster, createMachine, MachineKind, metalMachine, setPaused } from './clusters/cluster-api.ts';

const namespace = 'default';
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 30_000, interval: 20 });
/** A clean, free server of that number. */
const server = (number: number, more: Parameters<typeof aServer>[0] = {}): Server =>
  aServer({ ...more, spec: { hardware: aHardware({ system: { uuid: uuid(number) } }, `machine-${number}`), ...more.spec } });
const uuid = (number: number) => `4c4c4544-0000-4000-8000-${String(number).padStart(12, '0')}`;
const binding = (resources: ResourceClient, number: number) => resources.get(ServerBindingKind, { name: uuid(number) }, { live: true });
const serverNow = async (resources: ResourceClient, number: number) => (await resources.get(ServerKind, { name: uuid(number) }, { live: true }))!;
const readyOf = async (resources: ResourceClient, name: string) =>
  (await metalMachine(resources, name))?.status?.conditions?.find(({ type }) => type === 'Ready');
const eventsAbout = async (resources: ResourceClient, name: string, ns = namespace): Promise<string[]> => {
  const events: readonly KubeEvent[] = await resources.list(EventKind, { namespace: ns }, { live: true });
  return events.filter(({ involvedObject }) => involvedObject.name === name).map(({ reason, message }) => `${reason}: ${message}`);
};

/** How many calls of the API there were that it took, by verb and kind. */
function callsIn(metrics: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [, verb, kind, count] of metrics.matchAll(/^sidero_kube_requests_total\{verb="(\w+)",kind="(\w+)",status="2..".*\} (\d+)$/gm))
    counts.set(`${verb} ${kind}`, (counts.get(`${verb} ${kind}`) ?? 0) + Number(count));
  return counts;
}

/** A management plane with Cluster API's kinds, a cluster and these servers. */
async function aRack(servers: readonly Server[], plugins: readonly Plugin[] = [caps(), clusterApiKinds()]): Promise<TestSidero> {
  const sidero = await testSidero({ objects: servers, plugins });
  await createCluster(sidero.resources);
  return sidero;
}

describe('a machine of a class', () => {
  test('gets a server, and both tell so in every form that Cluster API reads', async () => {
    await using sidero = await aRack([server(1)]);
    const { resources } = sidero;
    const created = await createMachine(resources, 'cp-1');
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.status?.ready).toBe(true));
    expect(await metalMachine(resources, 'cp-1')).toMatchObject({
      metadata: { finalizers: ['metalmachine.infrastructure.cluster.x-k8s.io'] },
      spec: { providerID: `sidero://${uuid(1)}`, serverRef: { kind: 'Server', name: uuid(1) } },
      status: {
        initialization: { provisioned: true },
        v1beta2: { conditions: expect.arrayContaining([expect.objectContaining({ type: 'Ready', status: 'True' })]) },
      },
    });
    expect((await metalMachine(resources, 'cp-1'))?.metadata.annotations ?? {}).not.toHaveProperty(['clusterctl.cluster.x-k8s.io/block-move']);
    expect(await binding(resources, 1)).toMatchObject({
      metadata: { labels: { 'cluster.x-k8s.io/cluster-name': 'rack-1', 'clusterctl.cluster.x-k8s.io/move': '' } },
      spec: {
        metalMachineRef: { kind: 'MetalMachine', namespace, name: 'cp-1', uid: created.metadata.uid },
        serverClassRef: { kind: 'ServerClass', name: 'any' },
      },
    });
    await until(async () => expect((await binding(resources, 1))?.status?.ready).toBe(true));
    await until(async () => expect((await serverNow(resources, 1)).status).toMatchObject({ inUse: true, isClean: false }));
    await until(async () =>
      expect(await eventsAbout(resources, uuid(1))).toContain(
        'Server Allocation: Server is allocated via serverclass "any" for metal machine "cp-1".',
      ),
    );
  });

  test('costs few calls of the API', async () => {
    const metrics = Promise.withResolvers<Metrics>();
    const spy = definePlugin({ name: 'spy', options: z.strictObject({}), setup: (sidero) => metrics.resolve(sidero.metrics) });
    await using sidero = await aRack([server(1)], [caps(), clusterApiKinds(), spy()]);
    const { resources } = sidero;
    await until(async () => expect((await serverNow(resources, 1)).status?.step?.name).toBe('Clean'));
    const calls = async () => callsIn(await (await metrics.promise).text());
    const before = await calls();
    const since = async (what: RegExp) => {
      const counts = [...(await calls())].map(([call, count]) => [call, count - (before.get(call) ?? 0)] as const);
      return Object.fromEntries(counts.filter(([call, count]) => count > 0 && what.test(call)));
    };
    await createMachine(resources, 'cp-1');
    // The finalizer before anything is bound; then what it has got, its status apart; the last that its Node is not there yet.
    const wanted = { 'patch MetalMachine': 4, 'create ServerBinding': 1, 'patch ServerBinding': 1, 'patch Server': 1, 'create Event': 1 };
    await until(async () => expect(await since(/^(?!get|list|watch|create MetalM).* (MetalMachine|Server|ServerBinding|Event)$/)).toEqual(wanted));
    // Once another machine has had its turn, nothing was done for the first one any more.
    await createMachine(resources, 'cp-2');
    await until(async () => expect(await readyOf(resources, 'cp-2')).toMatchObject({ reason: 'NoServerFits' }));
    expect(await since(/^patch (Server|ServerBinding)$/)).toEqual({ 'patch Server': 1, 'patch ServerBinding': 1 });
  });

  test('waits with a reason while no server fits, and has one at once when one comes', async () => {
    await using sidero = await aRack([server(1, { status: { isClean: false } })]);
    const { resources } = sidero;
    await createMachine(resources, 'cp-1');
    await until(async () => expect(await readyOf(resources, 'cp-1')).toMatchObject({ status: 'False', reason: 'NoServerFits', severity: 'Warning' }));
    await until(async () => expect((await eventsAbout(resources, 'cp-1')).join()).toContain('Server Allocation: No server'));
    const since = performance.now();
    await resources.change(ServerKind, { name: uuid(1) }, (draft) => void (draft.status = { ...draft.status, isClean: true }));
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.status?.ready).toBe(true));
    // It is looked at again after 20 s: this is faster.
    expect(performance.now() - since).toBeLessThan(15_000);
  });

  test.each([
    ['of a class that does not exist', 'absent', 'NoServerFits', 'there is no ServerClass absent'],
    ['of a class with a bad selector', 'broken', 'ServerClassInvalid', 'nope'],
  ])('%s waits and says so', async (_, ...[name, reason, text]) => {
    await using sidero = await aRack([server(1)]);
    const { resources } = sidero;
    const selector = { matchExpressions: [{ key: 'zone', operator: 'nope' }] };
    await resources.create(ServerClassKind, {
      apiVersion: 'metal.sidero.dev/v1alpha2',
      kind: 'ServerClass',
      metadata: { name: 'broken' },
      spec: { selector },
    });
    await createMachine(resources, 'cp-1', { spec: { serverClassRef: { kind: 'ServerClass', name } } });
    await until(async () => expect(await readyOf(resources, 'cp-1')).toMatchObject({ reason, message: expect.stringContaining(text) }));
    await until(async () => expect((await eventsAbout(resources, 'cp-1')).join()).toContain(text));
  });

  test('that no Machine owns waits, and is an Event when that lasts', async () => {
    await using sidero = await aRack([server(1)]);
    const { resources } = sidero;
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const metadata = { namespace, name: 'alone' };
      const spec = { serverClassRef: { kind: 'ServerClass', name: 'any' } };
      await resources.create(MetalMachineKind, { apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3', kind: 'MetalMachine', metadata, spec });
      await until(async () => expect(await readyOf(resources, 'alone')).toMatchObject({ reason: 'WaitingForMachine', severity: 'Info' }));
      expect(await eventsAbout(resources, 'alone')).toEqual([]);
      vi.setSystemTime(Date.now() + 11 * 60_000);
      await resources.change(MetalMachineKind, metadata, (draft) => void (draft.metadata.labels = { looked: 'at' }));
      await until(async () =>
        expect(await eventsAbout(resources, 'alone')).toEqual([expect.stringContaining('once a Machine names it in spec.infrastructureRef')]),
      );
    } finally {
      vi.useRealTimers();
    }
  });

  test('that came before its Cluster goes on as soon as that is there', async () => {
    await using sidero = await testSidero({ objects: [server(1)], plugins: [caps(), clusterApiKinds()] });
    const { resources } = sidero;
    await createMachine(resources, 'cp-1');
    await until(async () => expect(await readyOf(resources, 'cp-1')).toMatchObject({ reason: 'ClusterMissing' }));
    await createCluster(resources);
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.status?.ready).toBe(true));
  });

  test('stands in the failure domain that its Machine demands', async () => {
    const inZone = (number: number, zone: string) => {
      const made = server(number);
      return { ...made, metadata: { ...made.metadata, labels: { 'topology.kubernetes.io/zone': zone } } };
    };
    await using sidero = await aRack([inZone(1, 'a'), inZone(2, 'b')]);
    const { resources } = sidero;
    await createMachine(resources, 'cp-1', { failureDomain: 'b' });
    await until(async () =>
      expect(await metalMachine(resources, 'cp-1')).toMatchObject({ spec: { serverRef: { name: uuid(2) } }, status: { failureDomain: 'b' } }),
    );
    await until(async () =>
      expect(await resources.get(MetalClusterKind, { namespace, name: 'rack-1' }, { live: true })).toMatchObject({
        status: { ready: true, failureDomains: { a: { controlPlane: true }, b: { controlPlane: true } } },
      }),
    );
  });

  test('stands under a Cluster API that serves v1beta2 too, and finds the failure domains in its form', async () => {
    const made = server(1);
    const inZone = { ...made, metadata: { ...made.metadata, labels: { 'topology.kubernetes.io/zone': 'a' } } };
    await using sidero = await aRack([inZone], [caps(), clusterApiKinds({ versions: ['v1beta2', 'v1beta1'] })]);
    const { resources } = sidero;
    await createMachine(resources, 'cp-1', { failureDomain: 'a' });
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.status?.initialization?.provisioned).toBe(true));
    await until(async () =>
      expect((await resources.get(MetalClusterKind, { namespace, name: 'rack-1' }, { live: true }))?.status?.failureDomains).toEqual([
        { name: 'a', controlPlane: true },
      ]),
    );
  });

  test('shows what Talos told, and the addresses', async () => {
    await using sidero = await aRack([server(1)]);
    const { resources } = sidero;
    await createMachine(resources, 'cp-1');
    await until(async () => expect(await binding(resources, 1)).toBeDefined());
    await resources.change(ServerBindingKind, { name: uuid(1) }, (draft) => {
      draft.spec = { ...draft.spec!, addresses: ['10.0.0.7'], hostname: 'node-1' };
      draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
    });
    await until(async () => {
      const { status, metadata } = (await metalMachine(resources, 'cp-1'))!;
      expect(isTrue(status?.conditions, 'TalosInstalled')).toBe(true);
      expect(status?.addresses).toEqual([
        { type: 'InternalIP', address: '10.0.0.7' },
        { type: 'Hostname', address: 'node-1' },
      ]);
      expect(metadata.annotations).toMatchObject({ 'metal.sidero.dev/talos-installed': uuid(1) });
    });
  });
});

test('a MetalCluster that somebody else manages is left as it is', async () => {
  await using sidero = await aRack([]);
  const { resources } = sidero;
  const metadata = { namespace, name: 'theirs', annotations: { 'cluster.x-k8s.io/managed-by': 'terraform' } };
  const type = { apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3', kind: 'MetalCluster' } as const;
  await resources.create(MetalClusterKind, { ...type, metadata });
  // One that is made later has had its turn.
  await resources.create(MetalClusterKind, { ...type, metadata: { namespace, name: 'ours' } });
  await until(async () =>
    expect((await resources.get(MetalClusterKind, { namespace, name: 'ours' }, { live: true }))?.status?.conditions).toBeDefined(),
  );
  const found = await resources.get(MetalClusterKind, metadata, { live: true });
  expect(found).not.toHaveProperty('status');
  expect(found?.metadata).not.toHaveProperty('finalizers');
});

describe('a machine whose server cannot boot', () => {
  test.each([
    [
      'its class names an Environment that does not exist',
      { environmentRef: { name: 'absent' } },
      'make Environment absent, or correct spec.environmentRef of ServerClass named',
    ],
    ['its class is gone', undefined, 'make ServerClass named again'],
  ])('is told of, as is its Server: %s', async (_, spec, next) => {
    await using sidero = await aRack([server(1)]);
    const { resources, lifecycle } = sidero;
    await resources.create(ServerClassKind, {
      apiVersion: 'metal.sidero.dev/v1alpha2',
      kind: 'ServerClass',
      metadata: { name: 'named' },
      spec: spec ?? {},
    });
    await createMachine(resources, 'cp-1', { spec: { serverClassRef: { kind: 'ServerClass', name: 'named' } } });
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.status?.ready).toBe(true));
    if (!spec) await resources.remove(ServerClassKind, { name: 'named' });
    // iPXE asks again and again.
    for (let count = 0; count < 3; count++)
      expect(await lifecycle.boot(aBootRequest({ uuid: uuid(1) }))).toMatchObject({ target: 'wait', status: 404 });
    for (const about of ['cp-1', uuid(1)]) {
      const told = async () => (await eventsAbout(resources, about)).filter((text) => text.startsWith('Machine Boot: It cannot boot: '));
      await until(async () => expect(await told()).toEqual([expect.stringContaining(`does not exist. Next: ${next}`)]));
    }
  });
});

describe('a machine that names its server', () => {
  const naming = (number: number) => ({ spec: { serverRef: { kind: 'Server', name: uuid(number) } } });

  test('gets it, when it is clean', async () => {
    await using sidero = await aRack([server(1), server(2)]);
    const { resources } = sidero;
    await createMachine(resources, 'cp-1', naming(2));
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.spec?.providerID).toBe(`sidero://${uuid(2)}`));
    expect(await binding(resources, 1)).toBeUndefined();
    await until(async () =>
      expect(await eventsAbout(resources, uuid(2))).toContain('Server Assignment: Server is assigned via serverRef for metal machine "cp-1".'),
    );
  });

  test.each([
    ['is not accepted', 'ServerNotAccepted', server(1, { spec: { accepted: false } })],
    ['is cordoned', 'ServerCordoned', server(1, { spec: { cordoned: true } })],
    ['is dirty', 'WaitingForCleanServer', server(1, { status: { isClean: false } })],
    ['does not exist', 'ServerMissing', server(2)],
  ])('waits and says so when it %s', async (_, reason, only) => {
    await using sidero = await aRack([only]);
    await createMachine(sidero.resources, 'cp-1', naming(1));
    await until(async () => expect(await readyOf(sidero.resources, 'cp-1')).toMatchObject({ status: 'False', reason }));
    expect(await binding(sidero.resources, 1)).toBeUndefined();
  });

  test('never takes it from another one, and its deletion frees nobody else’s', async () => {
    await using sidero = await aRack([server(1)]);
    const { resources } = sidero;
    const first = await createMachine(resources, 'cp-1', naming(1));
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.status?.ready).toBe(true));
    await createMachine(resources, 'cp-2', naming(1));
    await until(async () => expect(await readyOf(resources, 'cp-2')).toMatchObject({ reason: 'ServerTaken', severity: 'Error' }));
    const told = `Server Allocation: Server ${uuid(1)} is allocated to MetalMachine default/cp-1; name another one in spec.serverRef`;
    await until(async () => expect(await eventsAbout(resources, 'cp-2')).toEqual([told]));
    expect((await metalMachine(resources, 'cp-2'))?.spec?.providerID).toBeUndefined();
    await resources.remove(MetalMachineKind, { namespace, name: 'cp-2' });
    await until(async () => expect(await metalMachine(resources, 'cp-2')).toBeUndefined());
    expect((await binding(resources, 1))?.spec?.metalMachineRef.uid).toBe(first.metadata.uid);
  });
});

describe('a server that is in use', () => {
  /** One machine that has its server, with Talos on its disk. */
  async function installed(plugins?: readonly Plugin[]): Promise<TestSidero> {
    const sidero = await aRack([server(1)], plugins);
    const { resources } = sidero;
    await createMachine(resources, 'cp-1');
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.status?.ready).toBe(true));
    await resources.change(ServerBindingKind, { name: uuid(1) }, (draft) => {
      draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
    });
    await until(async () =>
      expect((await metalMachine(resources, 'cp-1'))?.metadata.annotations).toHaveProperty(['metal.sidero.dev/talos-installed']),
    );
    return sidero;
  }
  const isWhole = (found: ServerBinding | undefined) => {
    expect(found?.spec).toMatchObject({ metalMachineRef: { name: 'cp-1' }, serverClassRef: { name: 'any' } });
    expect(isTrue(found?.status?.conditions, 'TalosInstalled')).toBe(true);
  };

  test('gets a lost ServerBinding back, with its class and with Talos installed; it is never wiped', async () => {
    await using sidero = await installed();
    const { resources, lifecycle } = sidero;
    const before = (await binding(resources, 1))!.metadata.uid;
    await resources.remove(ServerBindingKind, { name: uuid(1) });
    const verdict = await lifecycle.wipe(await serverNow(resources, 1));
    expect(verdict).toMatchObject({ hold: expect.stringContaining('cp-1') });
    await until(async () => isWhole(await binding(resources, 1)));
    expect((await binding(resources, 1))!.metadata.uid).not.toBe(before);
    expect((await serverNow(resources, 1)).status?.powerAction?.purpose).not.toBe('wipe');
  });

  test('is not wiped while its machine is paused, even when its ServerBinding is lost', async () => {
    await using sidero = await installed();
    const { resources, lifecycle } = sidero;
    await setPaused(resources, true);
    await until(async () =>
      expect((await metalMachine(resources, 'cp-1'))?.status?.v1beta2?.conditions).toContainEqual(
        expect.objectContaining({ type: 'Paused', status: 'True' }),
      ),
    );
    await resources.remove(MetalMachineKind, { namespace, name: 'cp-1' });
    await resources.remove(ServerBindingKind, { name: uuid(1) });
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.metadata.deletionTimestamp).toBeDefined());
    expect(await lifecycle.wipe(await serverNow(resources, 1))).toMatchObject({ hold: expect.stringContaining('paused') });
    expect(await binding(resources, 1)).toBeUndefined();
    await setPaused(resources, false);
    await until(async () => expect(await metalMachine(resources, 'cp-1')).toBeUndefined());
  });

  test('is not switched off while its ServerBinding is lost, not even when its Server still says clean', async () => {
    const chassis = new MemoryChassis();
    const bmc = new SimulatedBmc({ chassis });
    await using sidero = await installed([caps(), clusterApiKinds(), simulatedPower(() => bmc)]);
    const { resources } = sidero;
    await setPaused(resources, true);
    // As after a ServerBinding that came and went before the loop over servers had heard of it.
    await resources.remove(ServerBindingKind, { name: uuid(1) });
    await resources.change(ServerKind, { name: uuid(1) }, (draft) => void (draft.status = { ...draft.status, isClean: true, inUse: false }));
    chassis.powerOn(NO_OVERRIDE);
    await until(async () =>
      expect((await serverNow(resources, 1)).status?.step).toMatchObject({ name: 'Held', reason: expect.stringContaining('cp-1') }),
    );
    expect(chassis.isOn()).toBe(true);
    expect(bmc.control.actions).not.toContain('off');
  });

  test('is given to nobody else while its ServerBinding is lost, not even when its Server still says clean', async () => {
    await using sidero = await installed();
    const { resources } = sidero;
    const paused = { 'cluster.x-k8s.io/paused': '' };
    await resources.change(MetalMachineKind, { namespace, name: 'cp-1' }, ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, ...paused };
    });
    await until(async () =>
      expect((await metalMachine(resources, 'cp-1'))?.status?.v1beta2?.conditions).toContainEqual(
        expect.objectContaining({ type: 'Paused', status: 'True' }),
      ),
    );
    await resources.remove(ServerBindingKind, { name: uuid(1) });
    await resources.change(ServerKind, { name: uuid(1) }, (draft) => void (draft.status = { ...draft.status, isClean: true, inUse: false }));
    await createMachine(resources, 'cp-2');
    await createMachine(resources, 'cp-3', { spec: { serverRef: { kind: 'Server', name: uuid(1) } } });
    for (const name of ['cp-2', 'cp-3'])
      await until(async () =>
        expect(await readyOf(resources, name)).toMatchObject({
          reason: 'NoServerFits',
          message: expect.stringContaining('held by MetalMachine default/cp-1'),
        }),
      );
    expect(await binding(resources, 1)).toBeUndefined();
    await resources.change(
      MetalMachineKind,
      { namespace, name: 'cp-1' },
      ({ metadata }) => void delete metadata.annotations?.['cluster.x-k8s.io/paused'],
    );
    await until(async () => isWhole(await binding(resources, 1)));
  });

  test('does not boot the agent while its ServerBinding is lost', async () => {
    await using sidero = await installed();
    const { resources, lifecycle } = sidero;
    await setPaused(resources, true);
    await resources.remove(ServerBindingKind, { name: uuid(1) });
    expect(await lifecycle.boot(aBootRequest({ uuid: uuid(1) }))).toMatchObject({ target: 'wait', reason: expect.stringContaining('cp-1') });
    await setPaused(resources, false);
    await until(async () => expect(await lifecycle.boot(aBootRequest({ uuid: uuid(1) }))).toMatchObject({ target: 'disk' }));
  });

  test('whose Server object is lost is told of on MetalMachine and ServerBinding until it is back', async () => {
    await using sidero = await installed();
    const { resources } = sidero;
    const { spec, metadata } = await serverNow(resources, 1);
    await resources.remove(ServerKind, { name: uuid(1) });
    // By force: its finalizer waits for the ServerBinding.
    await resources.change(ServerKind, { name: uuid(1) }, (draft) => void (draft.metadata.finalizers = []));
    await until(async () => {
      expect(await readyOf(resources, 'cp-1')).toMatchObject({ status: 'False', reason: 'ServerMissing' });
      const { status } = (await binding(resources, 1))!;
      expect(status).toMatchObject({
        ready: false,
        conditions: expect.arrayContaining([expect.objectContaining({ type: 'ServerExists', status: 'False' })]),
      });
    });
    // What Cluster API was told once is not taken back: it would replace the Machine.
    expect((await metalMachine(resources, 'cp-1'))?.status).toMatchObject({ ready: true, initialization: { provisioned: true } });
    const { name, labels } = metadata;
    await resources.create(ServerKind, { ...server(1), metadata: { name, ...(labels && { labels: { ...labels } }) }, spec: structuredClone(spec!) });
    await until(async () => {
      expect(await readyOf(resources, 'cp-1')).toMatchObject({ status: 'True' });
      expect((await binding(resources, 1))?.status).toMatchObject({ ready: true });
    });
  });

  test('stays with its machine when somebody clears spec.serverRef', async () => {
    await using sidero = await installed();
    const { resources } = sidero;
    await resources.change(MetalMachineKind, { namespace, name: 'cp-1' }, (draft) => void delete draft.spec?.serverRef);
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.spec?.serverRef?.name).toBe(uuid(1)));
  });

  test('keeps its machine after a move, which has another uid and no conditions then', async () => {
    await using sidero = await installed();
    const { resources } = sidero;
    // As clusterctl leaves it: everything but the status, and the ServerBinding with the uid of before.
    await setPaused(resources, true);
    const moved = (await metalMachine(resources, 'cp-1'))!;
    await resources.change(MetalMachineKind, moved.metadata, (draft) => void (draft.metadata.finalizers = []));
    await resources.remove(MetalMachineKind, moved.metadata);
    const { status: _, ...rest } = moved;
    const { uid: __, resourceVersion: ___, creationTimestamp: ____, generation: _____, ...metadata } = moved.metadata;
    await resources.change(ServerBindingKind, { name: uuid(1) }, (draft) => void delete draft.status);
    const made = await resources.create(MetalMachineKind, { ...rest, metadata });
    await setPaused(resources, false);
    await until(async () => {
      const found = await binding(resources, 1);
      isWhole(found);
      expect(found?.spec?.metalMachineRef.uid).toBe(made.metadata.uid);
      expect((await metalMachine(resources, 'cp-1'))?.status?.ready).toBe(true);
    });
  });
});

describe('a deletion', () => {
  test('frees the server, and ends although Machine and Cluster are gone before', async () => {
    await using sidero = await aRack([server(1)]);
    const { resources } = sidero;
    await createMachine(resources, 'cp-1');
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.status?.ready).toBe(true));
    await resources.remove(ClusterKind, { namespace, name: 'rack-1' });
    await resources.remove(MachineKind, { namespace, name: 'cp-1' });
    await until(async () => {
      expect(await metalMachine(resources, 'cp-1')).toBeUndefined();
      expect(await binding(resources, 1)).toBeUndefined();
      expect(await resources.get(MetalClusterKind, { namespace, name: 'rack-1' }, { live: true })).toBeUndefined();
    });
    await until(async () => expect((await serverNow(resources, 1)).status?.inUse).toBe(false));
  });

  test('of a MetalCluster and of a MetalMachine that nobody ever owned ends', async () => {
    await using sidero = await aRack([]);
    const { resources } = sidero;
    const own = { namespace, name: 'alone', finalizers: ['metalcluster.infrastructure.cluster.x-k8s.io'] };
    const type = { apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3' } as const;
    await resources.create(MetalClusterKind, { ...type, kind: 'MetalCluster', metadata: own });
    await resources.create(MetalMachineKind, {
      ...type,
      kind: 'MetalMachine',
      metadata: { ...own, finalizers: ['metalmachine.infrastructure.cluster.x-k8s.io'] },
    });
    await until(async () => expect(await readyOf(resources, 'alone')).toMatchObject({ reason: 'WaitingForMachine' }));
    await resources.remove(MetalClusterKind, own);
    await resources.remove(MetalMachineKind, own);
    await until(async () => {
      expect(await resources.get(MetalClusterKind, own, { live: true })).toBeUndefined();
      expect(await metalMachine(resources, 'alone')).toBeUndefined();
    });
  });
});

describe('a ServerBinding whose MetalMachine is gone', () => {
  /** The finalizer was taken off by force. */
  async function orphaned(orphanGraceMs: number): Promise<TestSidero> {
    const sidero = await aRack([server(1)], [caps({ orphanGraceMs }), clusterApiKinds()]);
    const { resources } = sidero;
    await createMachine(resources, 'cp-1');
    await until(async () => expect((await metalMachine(resources, 'cp-1'))?.status?.ready).toBe(true));
    return sidero;
  }
  const forceAway = async (resources: ResourceClient) => {
    await setPaused(resources, true);
    await until(async () =>
      expect((await metalMachine(resources, 'cp-1'))?.status?.v1beta2?.conditions).toContainEqual(
        expect.objectContaining({ type: 'Paused', status: 'True' }),
      ),
    );
    await resources.remove(MachineKind, { namespace, name: 'cp-1' });
    await resources.remove(MetalMachineKind, { namespace, name: 'cp-1' });
    await resources.change(MetalMachineKind, { namespace, name: 'cp-1' }, (draft) => void (draft.metadata.finalizers = []));
  };
  const conditionOf = async (resources: ResourceClient) =>
    (await binding(resources, 1))?.status?.conditions?.find(({ type }) => type === 'MetalMachineExists');

  test('is kept while its Cluster is paused, and freed after the grace when that goes on without it', async () => {
    await using sidero = await orphaned(1000);
    const { resources } = sidero;
    await forceAway(resources);
    await until(async () => expect(await conditionOf(resources)).toMatchObject({ reason: 'ClusterPaused' }));
    await setPaused(resources, false);
    await until(async () => expect(await binding(resources, 1)).toBeUndefined());
  });

  test('is kept for a person to decide when its Cluster is gone too: it may have been moved', async () => {
    await using sidero = await orphaned(0);
    const { resources, lifecycle } = sidero;
    await forceAway(resources);
    await resources.remove(MetalClusterKind, { namespace, name: 'rack-1' });
    await resources.remove(ClusterKind, { namespace, name: 'rack-1' });
    await until(async () => expect(await conditionOf(resources)).toMatchObject({ reason: 'MayHaveMoved' }));
    expect(await lifecycle.wipe(await serverNow(resources, 1))).toHaveProperty('hold');
    expect(await binding(resources, 1)).toBeDefined();
  });
});
