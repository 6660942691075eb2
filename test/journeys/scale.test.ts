import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvironmentKind, type ResourceClient, type Server, ServerBindingKind, ServerKind } from '@sidero/core';
import { caps, MetalMachineKind } from '@sidero/plugin-caps';
import { placement } from '@sidero/plugin-placement';
import { type DiskContent, simulatedPower, type SimulatedMachine, type TestSidero, testSidero } from '@sidero/testing';
import { SimulatedBmc } from '@sidero/testing/bmc';
import { expect, test, vi } from 'vitest';
import { ClusterKind, clusterApiKinds, createCluster, createMachine, MachineKind } from './clusters/cluster-api.ts';

const COUNT = 200;
const namespace = 'default';
const until = (assertion: () => Promise<void> | void) => vi.waitFor(assertion, { timeout: 240_000, interval: 250 });
const nameOf = (index: number) => `workers-${index}`;
const each = (work: (index: number) => Promise<unknown>) => Promise.all(Array.from({ length: COUNT }, (_, index) => work(index)));

interface Rack extends AsyncDisposable {
  readonly sidero: TestSidero;
  readonly machines: readonly SimulatedMachine[];
}

/** A management plane and machines with a BMC each, which nobody knows yet; what they boot when they are bound has files. */
async function aRack(): Promise<Rack> {
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), 'sidero-scale-'));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const folder = join(dataDir, 'env', 'default');
  await mkdir(folder, { recursive: true });
  for (const file of ['vmlinuz', 'initramfs.xz']) await writeFile(join(folder, file), Buffer.alloc(10_000));
  const bmcs = new Map<string, SimulatedBmc>();
  const plugins = [simulatedPower((uuid) => bmcs.get(uuid)), caps(), placement(), clusterApiKinds()];
  const sidero = stack.use(await testSidero({ plugins, dataDir, site: { powerPollMs: 5000, rebootTimeoutMs: 60_000 } }));
  // Without URLs nothing is fetched: the files are there.
  await until(() =>
    sidero.resources.change(EnvironmentKind, { name: 'default' }, (draft) => void (draft.spec = { kernel: { args: [] } })).then(() => undefined),
  );
  const machines = sidero.machines(COUNT, { seed: 'scale', timeFactor: 0.2, hasIpxeRom: true });
  for (const machine of machines) bmcs.set(machine.uuid, new SimulatedBmc({ chassis: machine }));
  const owned = stack.move();
  return { sidero, machines, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Every server that each MetalMachine ever got, from now on. */
function watchBindings(resources: ResourceClient): Map<string, Set<string>> {
  const got = new Map<string, Set<string>>();
  const { signal } = new AbortController();
  void resources.watch(
    ServerBindingKind,
    ({ type, object: { metadata, spec } }) => {
      const name = spec?.metalMachineRef.name ?? '';
      if (type === 'added') got.set(name, (got.get(name) ?? new Set()).add(metadata.name));
    },
    signal,
  );
  return got;
}

/** Undefined when it is clean, free and off, in the API and in truth. */
function whereItIs(server: Server | undefined, machine: SimulatedMachine): string | undefined {
  const { isClean, inUse, power, step } = server?.status ?? {};
  if (isClean && !inUse && power === 'off' && !machine.isOn()) return undefined;
  return `${machine.name} is ${machine.state.stage} (${machine.state.detail}): clean ${isClean}, in use ${inUse}, power ${power}, ${step?.name}: ${step?.reason}`;
}

/** What only people can do: a machine that nobody knows yet and that gave up its boot, as on a host that is too busy, is switched off and on. */
function switchOnAgain(machines: readonly SimulatedMachine[]): void {
  for (const machine of machines.filter(({ state }) => state.stage === 'failed')) {
    machine.powerOff();
    machine.powerOn();
  }
}

async function allAtRest({ sidero: { resources }, machines }: Rack): Promise<void> {
  const servers = new Map((await resources.list(ServerKind)).map((server) => [server.metadata.name, server]));
  const elsewhere = machines.flatMap((machine) => whereItIs(servers.get(machine.uuid), machine) ?? []);
  expect({ count: elsewhere.length, first: elsewhere.slice(0, 5) }).toEqual({ count: 0, first: [] });
}

/** How many of the disks hold what. */
function contents(machines: readonly SimulatedMachine[]): Partial<Record<DiskContent, number>> {
  const counts: Partial<Record<DiskContent, number>> = {};
  for (const { content } of machines.flatMap(({ disks }) => disks)) counts[content] = (counts[content] ?? 0) + 1;
  return counts;
}

test('a set of 200 machines gets 200 servers, each once; scaled to none it gives all back, and all are wiped', async () => {
  await using rack = await aRack();
  const { machines, sidero } = rack;
  const { resources } = sidero;
  const disks = machines.flatMap((machine) => machine.disks).length;
  const got = watchBindings(resources);
  for (const machine of machines) machine.powerOn();
  await until(() => {
    switchOnAgain(machines);
    return allAtRest(rack);
  });
  expect(contents(machines)).toEqual({ nothing: disks });

  await createCluster(resources);
  await each((index) => createMachine(resources, nameOf(index)));
  await until(() => expect(machines.filter(({ state }) => state.stage === 'environment').length).toBe(COUNT));
  await until(async () => expect((await resources.list(MetalMachineKind)).filter(({ status }) => status?.ready).length).toBe(COUNT));
  const bound = await resources.list(MetalMachineKind, {}, { live: true });
  expect(new Set(bound.map(({ spec }) => spec?.providerID)).size).toBe(COUNT);
  expect([...got.values()].map((servers) => servers.size)).toEqual(Array(COUNT).fill(1));
  expect(new Set([...got.values()].flatMap((servers) => [...servers]))).toEqual(new Set(machines.map(({ uuid }) => uuid)));
  // Talos is on the first disk of each, and stays there.
  expect(contents(machines).system).toBe(COUNT);

  // Cluster API takes the Machines away; what they own goes with them.
  await each((index) => resources.remove(MachineKind, { namespace, name: nameOf(index) }));
  await until(async () => {
    expect((await resources.list(MetalMachineKind)).length).toBe(0);
    expect((await resources.list(ServerBindingKind)).length).toBe(0);
    await allAtRest(rack);
  });
  expect(contents(machines)).toEqual({ nothing: disks });
  expect(await resources.get(ClusterKind, { namespace, name: 'rack-1' })).toBeDefined();
}, 280_000);
