import { conditionOf, isTrue, type Server, type ServerBinding, ServerBindingKind, type ServerClass, ServerClassKind, ServerKind } from '@sidero/core';
import type { MetalMachine } from '@sidero/plugin-caps';
import { freePorts, simulatedPower } from '@sidero/testing';
import type { SimulatedBmc } from '@sidero/testing/bmc';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { isPossible } from '../sidero-on-kubernetes.ts';
import { isTalosBuilt } from '../talos/program.ts';
import { generateCluster, moveClusters } from './clusterctl.ts';
import { type ManagementCluster, startManagementCluster } from './management-cluster.ts';
import { isClusterApiBuilt } from './parts.ts';
import { plugIn, type TalosRack } from './rack.ts';
import { WorkloadCluster } from './workload-cluster.ts';

const CLASS = 'talos';

const isBuilt = isPossible && isClusterApiBuilt() && isTalosBuilt;

describe.skipIf(!isBuilt).each(['1.10', '1.14'] as const)('clusterctl move with Cluster API %s', (release) => {
  const bmcs = new Map<string, SimulatedBmc>();
  const left = new AsyncDisposableStack();
  let from: ManagementCluster;
  let to: ManagementCluster;
  let rack: TalosRack;

  const start = () =>
    startManagementCluster({
      release,
      plugins: [simulatedPower((uuid) => bmcs.get(uuid))],
      environment: { name: CLASS, args: ['talos.platform=metal'] },
      // What would be freed by mistake shall be so while the test looks.
      orphanGraceMs: 1000,
    });
  const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 120_000, interval: 500 });
  const servers = ({ resources }: ManagementCluster): Promise<readonly Server[]> => resources.list(ServerKind, {}, { live: true });
  const bindings = ({ resources }: ManagementCluster): Promise<readonly ServerBinding[]> => resources.list(ServerBindingKind, {}, { live: true });
  const run = (management: ManagementCluster) =>
    until(async () => {
      const machines = await management.list<{ status?: { phase?: string } }>('machines.cluster.x-k8s.io');
      expect(machines.map(({ status }) => status?.phase)).toEqual(['Running', 'Running']);
      const metalMachines = await management.list<MetalMachine>('metalmachines');
      expect(metalMachines.map(({ status }) => isTrue(status?.conditions, 'ProviderSet'))).toEqual([true, true]);
    });

  beforeAll(async () => {
    const [port = 0] = await freePorts(1);
    const workload = left.use(new WorkloadCluster({ name: 'rack-1', port, management: () => from }));
    from = left.use(await start());
    rack = left.use(await plugIn(from.plane, { count: 2, bmcs, onEvent: (event) => workload.tell(event) }));
    await from.resources.create<ServerClass>(ServerClassKind, {
      apiVersion: 'metal.sidero.dev/v1alpha2',
      kind: 'ServerClass',
      metadata: { name: CLASS },
      spec: { environmentRef: { name: CLASS }, strategicPatches: ['machine: {install: {disk: /dev/nvme0n1}}'] },
    });
    for (const machine of rack.machines) machine.powerOn();
    // Who is still on when it is allocated is cycled, which is counted below.
    await until(async () => {
      expect((await servers(from)).map(({ status }) => [status?.isClean, status?.power])).toEqual([
        [true, 'off'],
        [true, 'off'],
      ]);
    });
    const objects = await generateCluster(from, { name: 'rack-1', port, serverClass: CLASS, controlPlanes: 1, workers: 1 });
    await from.kubectl(['apply', '-n', 'default', '-f', '-'], objects);
    await run(from);
    to = left.use(await start());
  }, 300_000);
  afterAll(() => left.disposeAsync());

  test('takes servers and their clusters to another management cluster, and no machine notices', async () => {
    const before = { bindings: await bindings(from), actions: [...bmcs.values()].map(({ control }) => [...control.actions]) };
    const told = rack.talos.events.length;
    await moveClusters(from, to);
    await run(to);
    await until(async () => expect((await servers(to)).map(({ status }) => status?.inUse)).toEqual([true, true]));
    const names = (list: readonly ServerBinding[]) => list.map(({ metadata, spec }) => `${metadata.name} ${spec?.metalMachineRef?.name}`).toSorted();
    expect(names(await bindings(to))).toEqual(names(before.bindings));
    expect(await from.list('clusters.cluster.x-k8s.io')).toEqual([]);
    // What is of the whole cluster, clusterctl leaves behind as well.
    const doubts = async () => (await bindings(from)).map(({ status }) => conditionOf(status?.conditions, 'MetalMachineExists')?.reason);
    await until(async () => expect(await doubts()).toEqual(['MayHaveMoved', 'MayHaveMoved']));
    expect([...bmcs.values()].map(({ control }) => control.actions)).toEqual(before.actions);
    expect(rack.talos.events.slice(told)).toEqual([]);
  });

  test('what was moved is looked after there: fewer workers, and their server is wiped', async () => {
    await to.kubectl(['scale', 'machinedeployment/rack-1-workers', '-n', 'default', '--replicas=0']);
    await until(async () => expect((await bindings(to)).length).toBe(1));
    const cycles = () => [...bmcs.values()].flatMap(({ control }) => control.actions).filter((action) => action === 'cycle');
    await until(async () => expect(cycles()).toEqual(['cycle']));
  });
});
