import { type Kind, type KubeObject, markTrue, type ResourceClient, type Server, ServerBindingKind, ServerKind } from '@sidero/core';
import { caps, MetalClusterKind, MetalMachineKind } from '@sidero/plugin-caps';
import { aServer, FIXTURE_UUID, simulatedPower, type TestSidero, testSidero } from '@sidero/testing';
import { MemoryChassis, SimulatedBmc } from '@sidero/testing/bmc';
import { expect, test, vi } from 'vitest';
import { ClusterKind, clusterApiKinds, createCluster, createMachine, MachineKind, metalMachine, setPaused } from './clusters/cluster-api.ts';

const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 30_000, interval: 20 });
const SERVER = { name: FIXTURE_UUID };
/** Owners first, as `clusterctl move` does it. ServerBindings and Servers go by their label, and stay where they were. */
const MOVED: readonly Kind<KubeObject>[] = [ClusterKind, MetalClusterKind, MachineKind, MetalMachineKind];
const COPIED: readonly Kind<KubeObject>[] = [ServerKind, ServerBindingKind];

interface Place {
  readonly sidero: TestSidero;
  readonly bmc: SimulatedBmc;
}

async function aPlace(chassis: MemoryChassis, objects: readonly Server[]): Promise<Place> {
  const bmc = new SimulatedBmc({ chassis });
  const site = { powerPollMs: 1000 };
  return { bmc, sidero: await testSidero({ site, objects, plugins: [caps({ orphanGraceMs: 0 }), clusterApiKinds(), simulatedPower(() => bmc)] }) };
}

/** Copies objects without their status, and with the uids that their owners have there. */
async function copy({ from, to }: { from: ResourceClient; to: ResourceClient }, kinds: readonly Kind<KubeObject>[]): Promise<void> {
  for (const kind of kinds) {
    for (const { metadata, ...rest } of await from.list(kind, {}, { live: true })) {
      const { uid: _uid, resourceVersion: _version, creationTimestamp: _created, generation: _generation, ...kept } = metadata;
      const { status: _status, ...body } = rest as { status?: unknown } & typeof rest;
      const owners = await Promise.all(
        (metadata.ownerReferences ?? []).map(async (owner) => ({ ...owner, uid: await uidOf(to, owner, metadata.namespace) })),
      );
      await to.create(kind, { ...body, metadata: { ...kept, ...(owners.length > 0 ? { ownerReferences: owners } : {}) } });
    }
  }
}

async function uidOf(resources: ResourceClient, owner: { kind: string; name: string }, namespace = 'default'): Promise<string> {
  const kind = MOVED.find((one) => one.kind === owner.kind)!;
  return (await resources.get(kind, { namespace, name: owner.name }, { live: true }))?.metadata.uid ?? '';
}

// Leaves first, whatever finalizers they have.
async function removeAll(from: ResourceClient): Promise<void> {
  for (const kind of MOVED.toReversed()) {
    for (const { metadata } of await from.list(kind, {}, { live: true })) {
      await from.change(kind, metadata, (draft) => void (draft.metadata.finalizers = []));
      await from.remove(kind, metadata);
    }
  }
}

const held = async ({ sidero }: Place) => {
  const server = await sidero.resources.get(ServerKind, SERVER, { live: true });
  if (server) expect(await sidero.lifecycle.wipe(server)).toHaveProperty('hold');
};

test('a move takes everything along, and neither side reboots or wipes what runs', { timeout: 60_000 }, async () => {
  const chassis = new MemoryChassis({ isOn: false });
  const source = await aPlace(chassis, [aServer()]);
  const target = await aPlace(chassis, []);
  await using _source = source.sidero;
  await using _target = target.sidero;
  const [from, to] = [source.sidero.resources, target.sidero.resources];
  await createCluster(from);
  await createMachine(from, 'cp-1');
  await until(async () => expect(chassis.isOn()).toBe(true));
  await from.change(ServerBindingKind, SERVER, (draft) => {
    draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
  });
  await until(async () => expect((await metalMachine(from, 'cp-1'))?.metadata.annotations).toHaveProperty(['metal.sidero.dev/talos-installed']));
  const before = [...source.bmc.control.actions];

  await setPaused(from, true);
  // What clusterctl waits for.
  await until(async () =>
    expect((await metalMachine(from, 'cp-1'))?.metadata.annotations).not.toHaveProperty(['clusterctl.cluster.x-k8s.io/block-move']),
  );
  await copy({ from, to }, [ServerKind]);
  await held(target);
  await copy({ from, to }, [...MOVED, ...COPIED.slice(1)]);
  await held(source);
  await removeAll(from);
  await held(source);
  await setPaused(to, false);

  await until(async () => {
    const moved = await metalMachine(to, 'cp-1');
    expect(moved?.status).toMatchObject({ ready: true });
    const binding = await to.get(ServerBindingKind, SERVER, { live: true });
    expect(binding?.spec?.metalMachineRef.uid).toBe(moved?.metadata.uid);
    const server = await to.get(ServerKind, SERVER, { live: true });
    // From disk, at its next reboot.
    expect(server?.status).toMatchObject({ inUse: true, conditions: expect.arrayContaining([expect.objectContaining({ type: 'PXEBooted' })]) });
  });
  await until(async () => {
    const left = await from.get(ServerBindingKind, SERVER, { live: true });
    expect(left?.status?.conditions).toContainEqual(expect.objectContaining({ type: 'MetalMachineExists', reason: 'MayHaveMoved' }));
  });
  await held(source);
  await held(target);
  expect(source.bmc.control.actions).toEqual(before);
  expect(target.bmc.control.actions).toEqual([]);
});
