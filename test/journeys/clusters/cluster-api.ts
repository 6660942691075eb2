import { type CustomResourceDefinition, definePlugin, type Kind, type KubeObject, type ResourceClient } from '@sidero/core';
import { type MetalCluster, MetalClusterKind, type MetalMachine, MetalMachineKind } from '@sidero/plugin-caps';
import * as z from 'zod';

/** A Cluster or a Machine of Cluster API, as far as it is needed here. */
export interface CoreObject extends KubeObject {
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

const CORE = { apiVersion: 'cluster.x-k8s.io/v1beta1', namespaced: true } as const;
export const ClusterKind: Kind<CoreObject> = { ...CORE, kind: 'Cluster', plural: 'clusters' };
export const MachineKind: Kind<CoreObject> = { ...CORE, kind: 'Machine', plural: 'machines' };

const NAMESPACE = 'default';

function definitionOf(kind: string, versions: readonly string[]): CustomResourceDefinition {
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.cluster.x-k8s.io` },
    spec: {
      group: 'cluster.x-k8s.io',
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular },
      versions: versions.map((name, index) => ({
        name,
        served: true,
        storage: index === 0,
        schema: { openAPIV3Schema },
        subresources: { status: {} },
      })),
    },
  } as unknown as CustomResourceDefinition;
}

/** CRDs of Cluster API's kinds, the first version stored. */
export function clusterApiDefinitions(versions: readonly string[] = ['v1beta1']): readonly CustomResourceDefinition[] {
  return ['Cluster', 'Machine'].map((kind) => definitionOf(kind, versions));
}

/** Cluster API's kinds, without its controllers: what they do is done by the test. */
export const clusterApiKinds = definePlugin({
  name: 'cluster-api-kinds',
  options: z.strictObject({ versions: z.array(z.string()).default(['v1beta1']) }),
  setup({ customResources }, { versions }) {
    for (const definition of clusterApiDefinitions(versions)) customResources.add({ name: definition.metadata.name, definition });
  },
});

/** A Cluster whose infrastructure is there, and its MetalCluster. */
export async function createCluster(resources: ResourceClient, name = 'rack-1'): Promise<CoreObject> {
  const cluster = await resources.create(ClusterKind, {
    apiVersion: ClusterKind.apiVersion,
    kind: 'Cluster',
    metadata: { namespace: NAMESPACE, name },
    spec: { infrastructureRef: { kind: 'MetalCluster', name } },
  });
  await resources.change(ClusterKind, cluster.metadata, (draft) => {
    draft.status = { infrastructureReady: true };
  });
  await resources.create<MetalCluster>(MetalClusterKind, {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'MetalCluster',
    metadata: { namespace: NAMESPACE, name, labels: labelsOf(name), ownerReferences: [ownerOf(cluster)] },
    spec: { controlPlaneEndpoint: { host: '10.0.0.10', port: 6443 } },
  });
  return cluster;
}

/** What is special to a machine. */
export interface MachineWish {
  readonly cluster?: string;
  readonly spec?: MetalMachine['spec'];
  readonly failureDomain?: string;
}

/** A Machine with bootstrap data, and the MetalMachine it owns, of the class `any` unless told otherwise. */
export async function createMachine(resources: ResourceClient, name: string, wish: MachineWish = {}): Promise<MetalMachine> {
  const { cluster = 'rack-1', spec = { serverClassRef: { kind: 'ServerClass', name: 'any' } }, failureDomain } = wish;
  const machine = await resources.create(MachineKind, {
    apiVersion: MachineKind.apiVersion,
    kind: 'Machine',
    metadata: { namespace: NAMESPACE, name, labels: labelsOf(cluster) },
    spec: {
      clusterName: cluster,
      bootstrap: { dataSecretName: `${name}-bootstrap` },
      infrastructureRef: { kind: 'MetalMachine', name },
      ...(failureDomain ? { failureDomain } : {}),
    },
  });
  return resources.create<MetalMachine>(MetalMachineKind, {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'MetalMachine',
    metadata: { namespace: NAMESPACE, name, labels: labelsOf(cluster), ownerReferences: [ownerOf(machine)] },
    spec,
  });
}

/** Reads a MetalMachine as the API has it. */
export function metalMachine(resources: ResourceClient, name: string): Promise<MetalMachine | undefined> {
  return resources.get(MetalMachineKind, { namespace: NAMESPACE, name }, { live: true });
}

/** Pauses a Cluster, or lets it go on. */
export async function setPaused(resources: ResourceClient, isPaused: boolean, name = 'rack-1'): Promise<void> {
  await resources.change(ClusterKind, { namespace: NAMESPACE, name }, (draft) => {
    draft.spec = { ...draft.spec, paused: isPaused };
  });
}

function labelsOf(cluster: string): Record<string, string> {
  return { 'cluster.x-k8s.io/cluster-name': cluster };
}

function ownerOf({ apiVersion, kind, metadata }: KubeObject): NonNullable<KubeObject['metadata']['ownerReferences']>[number] {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '' };
}
