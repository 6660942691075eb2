import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import {
  createMetrics,
  createResourceClient,
  definePlugin,
  EventKind,
  type Kind,
  type KubeEvent,
  type KubeObject,
  type Metrics,
  type Plugin,
  type ResourceClient,
  type RunningResourceClient,
  SecretKind,
} from '@sidero/core';
import { caps, type MetalMachine, MetalMachineKind } from '@sidero/plugin-caps';
import { type ApiServer, startApiServer } from '@sidero/plugin-apiserver';
import { aHardware, aServer, FIXTURE_UUID, silentLogger, type TestSidero, testSidero } from '@sidero/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { clusterApiKinds, createCluster, createMachine, metalMachine } from './clusters/cluster-api.ts';
import { layWire } from './clusters/cut-wire.ts';

interface Node extends KubeObject {
  spec?: { providerID?: string };
}
const NodeKind: Kind<Node> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 25_000, interval: 50 });

/** A machine that has its server, in a cluster whose own API is another one. */
async function aMachine(kubeconfig: string, plugins: readonly Plugin[] = []): Promise<TestSidero> {
  const sidero = await testSidero({ objects: [aServer()], plugins: [caps(), clusterApiKinds(), ...plugins] });
  await createCluster(sidero.resources);
  await giveKubeconfig(sidero, kubeconfig);
  await createMachine(sidero.resources, 'cp-1');
  await until(async () => expect((await metalMachine(sidero.resources, 'cp-1'))?.status?.ready).toBe(true));
  return sidero;
}

async function giveKubeconfig({ resources }: TestSidero, kubeconfig: string, cluster = 'rack-1'): Promise<void> {
  const value = Buffer.from(kubeconfig).toString('base64');
  const metadata = { namespace: 'default', name: `${cluster}-kubeconfig` };
  await resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata, data: { value } });
}

async function eventsAbout(resources: ResourceClient, name: string): Promise<readonly KubeEvent[]> {
  const events: readonly KubeEvent[] = await resources.list(EventKind, { namespace: 'default' }, { live: true });
  return events.filter(({ involvedObject }) => involvedObject.name === name);
}

async function providerSet({ resources }: TestSidero) {
  return (await metalMachine(resources, 'cp-1'))?.status?.conditions?.find(({ type }) => type === 'ProviderSet');
}

/** The API of the cluster that is made, as its users see it. */
function clientOf({ kubeConfig }: ApiServer): RunningResourceClient {
  return createResourceClient({ kubeConfig: () => kubeConfig, log: silentLogger(), metrics: createMetrics(), component: 'test' });
}

async function addNode(resources: ResourceClient, name: string, { uuid = FIXTURE_UUID, ...spec }: { uuid?: string; providerID?: string } = {}) {
  const labels = { 'metal.sidero.dev/uuid': uuid };
  await resources.create(NodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec });
}

const providerIdOf = async (resources: ResourceClient, name: string) => (await resources.get(NodeKind, { name }, { live: true }))?.spec?.providerID;

/** Machines of one cluster, more than are asked about over one connection each. */
const MANY = 80;
/** Less than the 10 s that a call waits for its answer. */
const SHORT_MS = 9500;

/** An API behind which everybody waits: it takes connections, and says nothing. */
async function aSilentApi(): Promise<AsyncDisposable & { readonly port: number; calls(): number }> {
  const sockets = new Set<Socket>();
  let calls = 0;
  const server = createServer((socket) => {
    calls++;
    sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    calls: () => calls,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const takenIn = (machines: readonly MetalMachine[]) => machines.flatMap(({ spec }) => spec?.serverRef?.name ?? []);

let api: ApiServer;
let workload: RunningResourceClient;

beforeEach(async () => {
  api = await startApiServer({ customResources: [] });
  workload = clientOf(api);
});

afterEach(async () => {
  await workload.close();
  await api.close();
});

describe('the Node of a machine', () => {
  test('gets its provider id', async () => {
    await addNode(workload, 'node-1');
    await using sidero = await aMachine(api.kubeconfigYaml);
    await until(async () => expect(await providerIdOf(workload, 'node-1')).toBe(`sidero://${FIXTURE_UUID}`));
    await until(async () => expect(await providerSet(sidero)).toMatchObject({ status: 'True' }));
  });

  test('gets it when it joins later', { timeout: 40_000 }, async () => {
    await using sidero = await aMachine(api.kubeconfigYaml);
    await until(async () =>
      expect(await providerSet(sidero)).toMatchObject({ status: 'False', reason: 'ProviderUpdateFailed', severity: 'Warning' }),
    );
    await addNode(workload, 'node-1');
    await until(async () => expect(await providerSet(sidero)).toMatchObject({ status: 'True' }));
  });

  test('gets it again when it was made anew', { timeout: 40_000 }, async () => {
    await addNode(workload, 'node-1');
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      await using sidero = await aMachine(api.kubeconfigYaml);
      await until(async () => expect(await providerSet(sidero)).toMatchObject({ status: 'True' }));
      await workload.remove(NodeKind, { name: 'node-1' });
      await addNode(workload, 'node-1');
      vi.setSystemTime(Date.now() + 5 * 60_000);
      // Any change of its MetalMachine; by itself it is looked at when that time is over.
      await sidero.resources.change(
        MetalMachineKind,
        { namespace: 'default', name: 'cp-1' },
        (draft) => void (draft.metadata.labels = { looked: 'at' }),
      );
      await until(async () => expect(await providerIdOf(workload, 'node-1')).toBe(`sidero://${FIXTURE_UUID}`));
    } finally {
      vi.useRealTimers();
    }
  });

  test('keeps one that it has, and so do two Nodes of one label; the condition says so', { timeout: 40_000 }, async () => {
    await addNode(workload, 'node-1', { providerID: 'other://1' });
    await using sidero = await aMachine(api.kubeconfigYaml);
    await until(async () => expect((await providerSet(sidero))?.message).toContain('Node node-1 has the provider id other://1'));
    await addNode(workload, 'node-2');
    await until(async () => expect((await providerSet(sidero))?.message).toContain('node-1, node-2'));
    expect(await providerIdOf(workload, 'node-2')).toBeUndefined();
  });
});

describe('a cluster', () => {
  test('that is away is told of, and its machine is ready all the same and can go', async () => {
    await api.close();
    await using sidero = await aMachine(api.kubeconfigYaml);
    await until(async () => expect((await providerSet(sidero))?.message).toContain('The API of cluster default/rack-1 cannot be used'));
    await sidero.resources.remove(MetalMachineKind, { namespace: 'default', name: 'cp-1' });
    await until(async () => expect(await metalMachine(sidero.resources, 'cp-1')).toBeUndefined());
  });

  test('that is away for an hour is an Event that says what to look at; its machine goes on when it is back', { timeout: 60_000 }, async () => {
    let isAway = true;
    const wire = await layWire(() => (isAway ? undefined : Number(new URL(api.kubeConfig.getCurrentCluster()!.server).port)));
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const metrics = Promise.withResolvers<Metrics>();
      const spy = definePlugin({ name: 'spy', options: z.strictObject({}), setup: (plane) => metrics.resolve(plane.metrics) });
      const clustersAway = async () => /^sidero_workload_clusters_away (\d+)$/m.exec(await (await metrics.promise).text())?.[1];
      await using sidero = await aMachine(api.kubeconfigYaml.replace(/server: .*/, `server: https://127.0.0.1:${wire.port}`), [spy()]);
      const toldOf = async () => (await eventsAbout(sidero.resources, 'cp-1')).filter(({ reason }) => reason === 'Node Provider ID');
      await until(async () =>
        expect((await providerSet(sidero))?.message).toMatch(/does not answer.* Next: see whether the control plane of default/),
      );
      expect(await toldOf()).toEqual([]);
      vi.setSystemTime(Date.now() + 3_600_000);
      await until(async () => expect(await toldOf()).toMatchObject([{ type: 'Warning', message: expect.stringContaining('Next: see whether') }]));
      expect(await clustersAway()).toBe('1');
      isAway = false;
      await addNode(workload, 'node-1');
      vi.setSystemTime(Date.now() + 60_000);
      await until(async () => expect(await providerSet(sidero)).toMatchObject({ status: 'True' }));
      expect(await clustersAway()).toBe('0');
    } finally {
      vi.useRealTimers();
      await wire.close();
    }
  });

  test('whose kubeconfig would run a program here is refused', async () => {
    await using sidero = await aMachine(
      api.kubeconfigYaml.replace(/token: .*/, 'exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/true}'),
    );
    await until(async () => expect((await providerSet(sidero))?.message).toContain('its user has exec'));
  });

  test('that takes connections and never answers holds none but its own machines', { timeout: 180_000 }, async () => {
    const patient = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 90_000, interval: 100 });
    await using silent = await aSilentApi();
    const uuids = Array.from({ length: MANY + 2 }, (_, index) => `4c4c4544-0000-4000-8000-${String(index).padStart(12, '0')}`);
    const objects = uuids.map((uuid) => aServer({ spec: { hardware: aHardware({ system: { uuid } }) } }));
    await using sidero = await testSidero({ objects, plugins: [caps(), clusterApiKinds()] });
    const { resources } = sidero;
    for (const cluster of ['rack-1', 'rack-2']) await createCluster(resources, cluster);
    await giveKubeconfig(sidero, api.kubeconfigYaml, 'rack-2');
    await giveKubeconfig(sidero, api.kubeconfigYaml.replace(/server: .*/, `server: https://127.0.0.1:${silent.port}`));
    await Promise.all(uuids.slice(2).map((_, index) => createMachine(resources, `cp-${index}`)));
    const all = () => resources.list(MetalMachineKind, {}, { live: true });
    await patient(async () => expect((await all()).filter(({ status }) => status?.ready).length).toBe(MANY));
    const taken = takenIn(await all());
    const [first, second] = uuids.filter((uuid) => !taken.includes(uuid));

    const tookMs = async (name: string, uuid: string) => {
      await addNode(workload, name, { uuid });
      const startedMs = performance.now();
      await createMachine(resources, name, { cluster: 'rack-2', spec: { serverRef: { kind: 'Server', name: uuid } } });
      await patient(async () => expect(await providerIdOf(workload, name)).toBe(`sidero://${uuid}`));
      return performance.now() - startedMs;
    };
    // All of them ask at once, as nobody knows yet.
    await patient(async () => expect(silent.calls()).toBeGreaterThan(1));
    expect(await tookMs('b-1', first!)).toBeLessThan(SHORT_MS);
    await patient(async () => {
      const messages = (await all()).map(({ status }) => status?.conditions?.find(({ type }) => type === 'ProviderSet')?.message ?? '');
      expect(messages.filter((message) => message.includes('does not answer')).length).toBe(MANY);
    });
    // From then on one does.
    const known = silent.calls();
    await patient(async () => expect(silent.calls()).toBeGreaterThan(known));
    expect(await tookMs('b-2', second!)).toBeLessThan(SHORT_MS);
    expect(silent.calls()).toBeLessThan(known + 4);
  });
});
