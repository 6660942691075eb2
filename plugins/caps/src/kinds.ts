import type { Condition, Kind, KubeObject, ObjectMeta, Ref } from '@sidero/core';
import type { MetalCluster, MetalMachine, MetalMachineTemplate } from './types.gen.ts';

const INFRASTRUCTURE = { apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3', namespaced: true } as const;

export const MetalClusterKind: Kind<MetalCluster> = { ...INFRASTRUCTURE, kind: 'MetalCluster', plural: 'metalclusters' };
export const MetalMachineKind: Kind<MetalMachine> = { ...INFRASTRUCTURE, kind: 'MetalMachine', plural: 'metalmachines' };
export const MetalMachineTemplateKind: Kind<MetalMachineTemplate> = {
  ...INFRASTRUCTURE,
  kind: 'MetalMachineTemplate',
  plural: 'metalmachinetemplates',
};

/** `namespace/name`: how people name an object, and maps know it. */
export function keyOf({ namespace = '', name }: Ref): string {
  return `${namespace}/${name}`;
}

/** Group of Cluster API's own kinds. */
export const CLUSTER_API_GROUP = 'cluster.x-k8s.io';
/** Names the Cluster that an object belongs to. */
export const CLUSTER_NAME_LABEL = 'cluster.x-k8s.io/cluster-name';

/** Versions of Cluster API's kinds that we read; both say the same in the fields below. */
export type ClusterApiVersion = 'v1beta1' | 'v1beta2';

/** Cluster API's Machine, as far as we read it. */
export interface Machine extends KubeObject {
  metadata: ObjectMeta;
  spec?: {
    clusterName?: string;
    /** Failure domain that the server must be in. */
    failureDomain?: string;
    bootstrap?: { dataSecretName?: string };
    /** `apiVersion` and `namespace` in v1beta1 only. */
    infrastructureRef?: { apiVersion?: string; kind?: string; name?: string };
    /** That of its server's Node. */
    providerID?: string;
  };
  /** Cluster API's; ours to write only where there is none. */
  status?: {
    bootstrapReady?: boolean;
    infrastructureReady?: boolean;
    addresses?: { type: string; address: string }[];
    failureDomain?: string;
    nodeRef?: { apiVersion?: string; kind?: string; name: string };
    phase?: string;
  };
}

/** Cluster API's Cluster, as far as we read it. */
export interface Cluster extends KubeObject {
  metadata: ObjectMeta;
  spec?: {
    paused?: boolean;
    controlPlaneEndpoint?: { host?: string; port?: number };
    infrastructureRef?: { apiVersion?: string; kind?: string; name?: string };
  };
  status?: {
    /** v1beta1. */
    infrastructureReady?: boolean;
    /** v1beta2. */
    initialization?: { infrastructureProvisioned?: boolean };
    /** A map in v1beta1, a list in v1beta2. */
    failureDomains?: unknown;
    controlPlaneReady?: boolean;
    conditions?: Condition[];
    phase?: string;
  };
}

/** Cluster API's own kinds in one version. */
export interface ClusterApiKinds {
  readonly machine: Kind<Machine>;
  readonly cluster: Kind<Cluster>;
}

/** How Cluster API's kinds are reached in that version. */
export function clusterApiKinds(version: ClusterApiVersion): ClusterApiKinds {
  const common = { apiVersion: `${CLUSTER_API_GROUP}/${version}`, namespaced: true } as const;
  return { machine: { ...common, kind: 'Machine', plural: 'machines' }, cluster: { ...common, kind: 'Cluster', plural: 'clusters' } };
}

/** The Machine that owns an object: the reference of that kind in Cluster API's group, in any version. */
export function ownerMachineOf(object: KubeObject): string | undefined {
  return ownerOf(object, 'Machine');
}

/** The Cluster that owns an object, in the same way. */
export function ownerClusterOf(object: KubeObject): string | undefined {
  return ownerOf(object, 'Cluster');
}

/** A MetalMachine and the Machine that owns it. */
export interface OwnedMachine {
  readonly metalMachine: MetalMachine;
  readonly machine: Machine | undefined;
}

/** The Cluster that a MetalMachine belongs to: the one its Machine names, else the one its label names. */
export function clusterNameOf({ metalMachine, machine }: OwnedMachine): string | undefined {
  const labels = { ...metalMachine.metadata.labels, ...machine?.metadata.labels };
  return machine?.spec?.clusterName || labels[CLUSTER_NAME_LABEL];
}

function ownerOf({ metadata }: KubeObject, wanted: string): string | undefined {
  return metadata.ownerReferences?.find(({ apiVersion, kind }) => kind === wanted && apiVersion.startsWith(`${CLUSTER_API_GROUP}/`))?.name;
}

const PROVIDER = 'sidero://';

/** The provider id of a Server's Node. */
export function providerIdOf(server: string): string {
  return `${PROVIDER}${server}`;
}

/** The Server that a MetalMachine has got, now or before: its provider id, unlike its `serverRef`, is never a mere wish. */
export function serverOfProviderId({ spec }: MetalMachine): string | undefined {
  return spec?.providerID?.startsWith(PROVIDER) ? spec.providerID.slice(PROVIDER.length) || undefined : undefined;
}
