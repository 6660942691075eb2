import type { KubeObject } from '@sidero/core';
import type { Cluster } from '../kinds.ts';

// Marks of Cluster API's contract with infrastructure providers.

/** On any object, or as `spec.paused` of the Cluster: nobody acts. `clusterctl move` pauses what it moves. */
export const PAUSED_ANNOTATION = 'cluster.x-k8s.io/paused';
/** On a MetalCluster: somebody else looks after it. */
export const MANAGED_BY_ANNOTATION = 'cluster.x-k8s.io/managed-by';
/** Objects with this label go along with `clusterctl move` although no Cluster owns them. */
export const MOVE_LABEL = 'clusterctl.cluster.x-k8s.io/move';
/** On any object that is moved: `clusterctl move` waits until it is taken off. */
export const BLOCK_MOVE_ANNOTATION = 'clusterctl.cluster.x-k8s.io/block-move';

export const METAL_CLUSTER_FINALIZER = 'metalcluster.infrastructure.cluster.x-k8s.io';
export const METAL_MACHINE_FINALIZER = 'metalmachine.infrastructure.cluster.x-k8s.io';

/** Who writes our Events, and the Nodes of workload clusters; as in the original. */
export const COMPONENT = 'caps-controller-manager';

/** On Servers: the failure domain they stand in. */
export const ZONE_LABEL = 'topology.kubernetes.io/zone';

/** Whether nobody may act on an object of that Cluster. */
export function isPaused(object: KubeObject, cluster: Cluster | undefined): boolean {
  return cluster?.spec?.paused === true || object.metadata.annotations?.[PAUSED_ANNOTATION] !== undefined;
}

/** Whether machines of the Cluster may be made, in whichever contract its Cluster API tells it. */
export function hasInfrastructure({ status }: Cluster): boolean {
  return status?.infrastructureReady === true || status?.initialization?.infrastructureProvisioned === true;
}
