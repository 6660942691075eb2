import { type Controller, type ObjectMeta, type Ref, type ResourceClient, setCondition } from '@sidero/core';
import { ClusterMembers } from '../controllers/cluster-members.ts';
import { isPaused } from '../controllers/contract.ts';
import { writeDifference } from '../controllers/write-difference.ts';
import { type Cluster, CLUSTER_NAME_LABEL, clusterApiKinds, keyOf, type Machine, MetalClusterKind } from '../kinds.ts';
import type { MetalCluster } from '../types.gen.ts';
import { ownedBy } from './ownership.ts';

const { cluster: ClusterKind, machine: MachineKind } = clusterApiKinds('v1beta1');
/** On Machines of the control plane, and on no other. */
const CONTROL_PLANE_LABEL = 'cluster.x-k8s.io/control-plane';

/** What the two loops work with. */
export interface StandaloneParts {
  readonly resources: ResourceClient;
  /** Whether Cluster and Machine are ours to look after. */
  readonly isAllowed: () => Promise<boolean>;
}

/** Phases of a Cluster, in Cluster API's words. */
export type ClusterPhase = 'Pending' | 'Provisioning' | 'Provisioned' | 'Deleting';

/** Index over Machines: nodes of a control plane that have come up, by their Cluster. A Machine's change then costs no look at all the others. */
const CARRIERS = 'control-plane-of';

/** The loop over Clusters: the MetalCluster gets its owner, the Cluster its endpoint, phase and failure domains. Declares the index it asks; before start. */
export function standaloneClusters({ resources, isAllowed }: StandaloneParts): Controller<Cluster> {
  const byInfrastructure = new ClusterMembers();
  resources.index(MachineKind, CARRIERS, clusterCarriedBy);
  return {
    name: 'standalone-clusters',
    kind: ClusterKind,
    also: [
      { kind: MetalClusterKind, refs: (metalCluster) => byInfrastructure.of(metalCluster) },
      { kind: MachineKind, refs: ({ metadata }) => clusterRefs(metadata) },
    ],
    async reconcile(ref) {
      const cluster = (await isAllowed()) ? await resources.get(ClusterKind, ref) : undefined;
      byInfrastructure.note(ref, cluster?.spec?.infrastructureRef?.name);
      if (!cluster || isPaused(cluster, cluster)) return undefined;
      const metalCluster = await adopted(resources, cluster);
      const hasControlPlane = (await resources.find(MachineKind, CARRIERS, keyOf(cluster.metadata))).length > 0;
      const at = new Date();
      await writeDifference(resources, ClusterKind, {
        object: cluster,
        edit: (draft) => paintCluster(draft, { metalCluster, hasControlPlane, now: at }),
      });
      return undefined;
    },
  };
}

function clusterRefs({ namespace = '', labels }: ObjectMeta): readonly Ref[] {
  const name = labels?.[CLUSTER_NAME_LABEL];
  return name ? [{ namespace, name }] : [];
}

/** The Cluster whose control plane a Machine is a node of that has come up. */
function clusterCarriedBy({ metadata, spec, status }: Machine): readonly string[] {
  const isCarrier = metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined && status?.nodeRef !== undefined;
  return isCarrier && spec?.clusterName ? [keyOf({ ...metadata, name: spec.clusterName })] : [];
}

async function adopted(resources: ResourceClient, cluster: Cluster): Promise<MetalCluster | undefined> {
  const { namespace = '', name: clusterName } = cluster.metadata;
  const { kind, name } = cluster.spec?.infrastructureRef ?? {};
  if (kind !== MetalClusterKind.kind || !name) return undefined;
  const metalCluster = await resources.get(MetalClusterKind, { namespace, name });
  if (!metalCluster || cluster.metadata.deletionTimestamp) return metalCluster;
  const edit = (draft: MetalCluster): void => {
    draft.metadata.labels = { ...draft.metadata.labels, [CLUSTER_NAME_LABEL]: clusterName };
    draft.metadata.ownerReferences = ownedBy(draft, cluster, { controller: true });
  };
  return writeDifference(resources, MetalClusterKind, { object: metalCluster, edit });
}

/** What a Cluster says of itself. */
export function paintCluster(
  draft: Cluster,
  given: { readonly metalCluster: MetalCluster | undefined; readonly hasControlPlane: boolean; readonly now: Date },
): void {
  const { metalCluster, hasControlPlane, now } = given;
  const isReady = metalCluster?.status?.ready === true;
  const endpoint = metalCluster?.spec?.controlPlaneEndpoint;
  if (endpoint?.host && !draft.spec?.controlPlaneEndpoint?.host) draft.spec = { ...draft.spec, controlPlaneEndpoint: endpoint };
  // What was provisioned once stays so; a MetalCluster that is gone does not make its machines go.
  const infrastructureReady = isReady || draft.status?.infrastructureReady === true;
  const failureDomains = metalCluster?.status?.failureDomains;
  draft.status = {
    ...draft.status,
    ...(failureDomains === undefined ? {} : { failureDomains }),
    infrastructureReady,
    phase: clusterPhase(draft, infrastructureReady),
  };
  if (hasControlPlane) {
    draft.status.controlPlaneReady = true;
    // Before it holds, nothing can be moved; `clusterctl` says so.
    draft.status.conditions = setCondition(draft.status.conditions, { type: 'ControlPlaneInitialized', status: 'True' }, now);
  }
}

function clusterPhase({ metadata, spec }: Cluster, infrastructureReady: boolean): ClusterPhase {
  if (metadata.deletionTimestamp) return 'Deleting';
  if (infrastructureReady) return 'Provisioned';
  return spec?.infrastructureRef?.name ? 'Provisioning' : 'Pending';
}
