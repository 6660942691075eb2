import { createMetrics, createResourceClient, type Kind, type KubeObject, type ResourceClient, SecretKind, ServerClassKind } from '@sidero/core';
import { EnvironmentKind } from '@sidero/core';
import { type ApiServer, startApiServer } from '@sidero/plugin-apiserver';
import { clusterApiKinds, MetalClusterKind, MetalMachineKind } from '@sidero/plugin-caps';
import { silentLogger } from '../test-sidero.ts';
import { aTalosConfig } from '../talos-config.ts';

const NAME = 'rack-1';
const NAMESPACE = 'default';
const { cluster: ClusterKind, machine: MachineKind } = clusterApiKinds('v1beta1');
const NodeKind: Kind<KubeObject> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
const INFRASTRUCTURE = 'infrastructure.cluster.x-k8s.io/v1alpha3';
const METAL = 'metal.sidero.dev/v1alpha2';

/** Folder of the Environment's files under the data directory's `env`. */
export const ENVIRONMENT = 'talos';

/** What real machines need besides. */
export interface RackWish {
  /** Of the Environment that they boot. */
  readonly kernelArgs?: readonly string[];
  /** Laid over their configurations. */
  readonly strategicPatches?: readonly string[];
  /** PEM. */
  readonly machineCa?: { readonly cert: string; readonly key: string };
}

/** A cluster that its machines can join. */
export interface RackCluster extends AsyncDisposable {
  readonly name: string;
  /** A machine is installed: its Node is there. */
  join(uuid: string, node: string): Promise<void>;
}

/**
 * Makes a cluster as docs/first-cluster.md has it: one control plane and as many workers as there are machines besides, and an API of its own,
 * which is as much of a cluster as simulated machines can be.
 */
export async function applyRackCluster(resources: ResourceClient, machines: number, wish: RackWish = {}): Promise<RackCluster> {
  const api = await startApiServer({ customResources: [] });
  const client = createResourceClient({ kubeConfig: () => api.kubeConfig, log: silentLogger(), metrics: createMetrics(), component: 'demo' });
  const endpoint = new URL(api.url);
  await createClusterObjects(resources, endpoint, wish);
  for (let index = 0; index < machines; index++) await createMachine(resources, { index, endpoint: endpoint.hostname, machineCa: wish.machineCa });
  let kubeconfig: Promise<unknown> | undefined;
  return {
    name: NAME,
    async join(uuid, node) {
      // As `talosctl bootstrap` and `talosctl kubeconfig` do, once there is a node.
      kubeconfig ??= createSecret(resources, `${NAME}-kubeconfig`, api.kubeconfigYaml);
      await kubeconfig;
      const known = await client.get(NodeKind, { name: node }, { live: true });
      if (!known) await client.create(NodeKind, nodeOf(node, uuid));
    },
    [Symbol.asyncDispose]: () => close(client, api),
  };
}

async function close(client: { close(): Promise<void> }, api: ApiServer): Promise<void> {
  await client.close();
  await api.close();
}

const nodeOf = (name: string, uuid: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'metal.sidero.dev/uuid': uuid } },
});

async function createClusterObjects(resources: ResourceClient, { hostname, port }: URL, wish: RackWish): Promise<void> {
  const { kernelArgs = ['talos.platform=metal'], strategicPatches = [] } = wish;
  const here = { name: NAME, namespace: NAMESPACE };
  await resources.create(EnvironmentKind, {
    apiVersion: METAL,
    kind: 'Environment',
    metadata: { name: ENVIRONMENT },
    spec: { kernel: { args: [...kernelArgs] } },
  });
  await resources.create(ServerClassKind, {
    apiVersion: METAL,
    kind: 'ServerClass',
    metadata: { name: NAME },
    spec: { environmentRef: { name: ENVIRONMENT }, strategicPatches: [...strategicPatches] },
  });
  await resources.create(MetalClusterKind, {
    apiVersion: INFRASTRUCTURE,
    kind: 'MetalCluster',
    metadata: here,
    spec: { controlPlaneEndpoint: { host: hostname, port: Number(port) } },
  });
  await resources.create(ClusterKind, {
    apiVersion: 'cluster.x-k8s.io/v1beta1',
    kind: 'Cluster',
    metadata: here,
    spec: { infrastructureRef: { apiVersion: INFRASTRUCTURE, kind: 'MetalCluster', name: NAME } },
  });
}

interface MachineWish {
  readonly index: number;
  readonly endpoint: string;
  readonly machineCa: RackWish['machineCa'];
}

async function createMachine(resources: ResourceClient, { index, endpoint, machineCa }: MachineWish): Promise<void> {
  const type = index === 0 ? 'controlplane' : 'worker';
  const name = index === 0 ? `${NAME}-cp-0` : `${NAME}-workers-${index - 1}`;
  const here = { name, namespace: NAMESPACE };
  await createSecret(resources, name, aTalosConfig({ type, cluster: NAME, endpoint, machineCa }));
  await resources.create(MetalMachineKind, {
    apiVersion: INFRASTRUCTURE,
    kind: 'MetalMachine',
    metadata: here,
    spec: { serverClassRef: { apiVersion: METAL, kind: 'ServerClass', name: NAME } },
  });
  const labels: Record<string, string> = type === 'controlplane' ? { 'cluster.x-k8s.io/control-plane': '' } : {};
  await resources.create(MachineKind, {
    apiVersion: 'cluster.x-k8s.io/v1beta1',
    kind: 'Machine',
    metadata: { ...here, labels },
    spec: {
      clusterName: NAME,
      bootstrap: { dataSecretName: name },
      infrastructureRef: { apiVersion: INFRASTRUCTURE, kind: 'MetalMachine', name },
    },
  });
}

function createSecret(resources: ResourceClient, name: string, value: string): Promise<unknown> {
  const data = { value: Buffer.from(value).toString('base64') };
  return resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: NAMESPACE }, data });
}
