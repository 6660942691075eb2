import {
  createMetrics,
  createResourceClient,
  type Kind,
  type KubeObject,
  type ResourceClient,
  type RunningResourceClient,
  SecretKind,
} from '@sidero/core';
import { caps, MetalMachineKind } from '@sidero/plugin-caps';
import { type ApiServer, startApiServer } from '@sidero/plugin-apiserver';
import { aServer, FIXTURE_UUID, silentLogger, type TestSidero, testSidero } from '@sidero/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { clusterApiKinds, createCluster, createMachine, metalMachine } from './clusters/cluster-api.ts';

interface Node extends KubeObject {
  spec?: { providerID?: string };
}
const NodeKind: Kind<Node> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 25_000, interval: 50 });

/** A machine that has its server, in a cluster whose own API is another one. */
async function aMachine(kubeconfig: string): Promise<TestSidero> {
  const sidero = await testSidero({ objects: [aServer()], plugins: [caps(), clusterApiKinds()] });
  await createCluster(sidero.resources);
  await giveKubeconfig(sidero, kubeconfig);
  await createMachine(sidero.resources, 'cp-1');
  await until(async () => expect((await metalMachine(sidero.resources, 'cp-1'))?.status?.ready).toBe(true));
  return sidero;
}

async function giveKubeconfig({ resources }: TestSidero, kubeconfig: string): Promise<void> {
  const value = Buffer.from(kubeconfig).toString('base64');
  const metadata = { namespace: 'default', name: 'rack-1-kubeconfig' };
  await resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata, data: { value } });
}

async function providerSet({ resources }: TestSidero) {
  return (await metalMachine(resources, 'cp-1'))?.status?.conditions?.find(({ type }) => type === 'ProviderSet');
}

/** The API of the cluster that is made, as its users see it. */
function clientOf({ kubeConfig }: ApiServer): RunningResourceClient {
  return createResourceClient({ kubeConfig: () => kubeConfig, log: silentLogger(), metrics: createMetrics(), component: 'test' });
}

async function addNode(resources: ResourceClient, name: string, spec: NonNullable<Node['spec']> = {}): Promise<void> {
  const labels = { 'metal.sidero.dev/uuid': FIXTURE_UUID };
  await resources.create(NodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec });
}

const providerIdOf = async (resources: ResourceClient, name: string) => (await resources.get(NodeKind, { name }, { live: true }))?.spec?.providerID;

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

  test('keeps one that it has, and so do two Nodes of one label; the condition says so', async () => {
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

  test('whose kubeconfig would run a program here is refused', async () => {
    await using sidero = await aMachine(
      api.kubeconfigYaml.replace(/token: .*/, 'exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/true}'),
    );
    await until(async () => expect((await providerSet(sidero))?.message).toContain('its user has exec'));
  });
});
