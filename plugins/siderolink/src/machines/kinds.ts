import type { Kind, KubeObject } from '@sidero/core';

/** The Cluster API provider's MetalMachine, of which only the metadata matters here. */
export const MetalMachineKind: Kind<KubeObject> = {
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
  kind: 'MetalMachine',
  plural: 'metalmachines',
  namespaced: true,
};

/** Names the Cluster that an object belongs to. */
export const CLUSTER_NAME_LABEL = 'cluster.x-k8s.io/cluster-name';

/** The Machine that owns a MetalMachine; undefined while nobody does. */
export function ownerMachineOf({ metadata }: KubeObject): string | undefined {
  return metadata.ownerReferences?.find(({ apiVersion, kind }) => kind === 'Machine' && apiVersion.split('/')[0] === 'cluster.x-k8s.io')?.name;
}
