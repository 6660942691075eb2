import { type Controller, isTrue, type ResourceClient, type Secret, SecretKind } from '@sidero/core';
import { ClusterMembers } from '../controllers/cluster-members.ts';
import { isPaused, MOVE_LABEL } from '../controllers/contract.ts';
import { NodeKind, type WorkloadClusters } from '../controllers/workload-clusters.ts';
import { writeDifference } from '../controllers/write-difference.ts';
import { type Cluster, CLUSTER_NAME_LABEL, clusterApiKinds, type Machine, MetalMachineKind, serverOfProviderId } from '../kinds.ts';
import { NODE_LABEL } from '../machine-config/node-label.ts';
import type { MetalMachine } from '../types.gen.ts';
import type { StandaloneParts } from './clusters.ts';
import { ownedBy } from './ownership.ts';

const { cluster: ClusterKind, machine: MachineKind } = clusterApiKinds('v1beta1');

/** Phases of a Machine, in Cluster API's words. */
export type MachinePhase = 'Pending' | 'Provisioning' | 'Provisioned' | 'Running' | 'Deleting';

/** A Node that is to come is looked for again after this time. */
const NODE_RETRY_MS = 10_000;

/** What the loop over Machines works with. */
export interface StandaloneMachineParts extends StandaloneParts {
  readonly workloads: Pick<WorkloadClusters, 'use'>;
}

/** The loop over Machines: the MetalMachine gets its owner, the Machine its own, its provider id, addresses, Node and phase. */
export function standaloneMachines(parts: StandaloneMachineParts): Controller<Machine> {
  const { resources, isAllowed } = parts;
  const [byCluster, byInfrastructure, byBootstrap] = [new ClusterMembers(), new ClusterMembers(), new ClusterMembers()];
  return {
    name: 'standalone-machines',
    kind: MachineKind,
    also: [
      { kind: ClusterKind, refs: (cluster) => byCluster.of(cluster) },
      { kind: MetalMachineKind, refs: (metalMachine) => byInfrastructure.of(metalMachine) },
      { kind: SecretKind, refs: (secret) => byBootstrap.of(secret) },
    ],
    async reconcile(ref) {
      const machine = (await isAllowed()) ? await resources.get(MachineKind, ref) : undefined;
      byCluster.note(ref, machine?.spec?.clusterName);
      byInfrastructure.note(ref, machine?.spec?.infrastructureRef?.name);
      byBootstrap.note(ref, machine?.spec?.bootstrap?.dataSecretName);
      return machine && reconcile(parts, machine);
    },
  };
}

async function reconcile({ resources, workloads }: StandaloneMachineParts, machine: Machine): Promise<{ requeueAfterMs: number } | undefined> {
  const { namespace = '' } = machine.metadata;
  const { clusterName = '' } = machine.spec ?? {};
  const cluster = clusterName ? await resources.get(ClusterKind, { namespace, name: clusterName }) : undefined;
  if (isPaused(machine, cluster)) return undefined;
  await takeBootstrapAlong(resources, machine);
  const metalMachine = await adopted(resources, machine);
  const isUp = isTrue(metalMachine?.status?.conditions, 'ProviderSet');
  const server = metalMachine && serverOfProviderId(metalMachine);
  const node = cluster && isUp && server ? (machine.status?.nodeRef?.name ?? (await nodeOf(workloads, cluster, server))) : undefined;
  await writeDifference(resources, MachineKind, { object: machine, edit: (draft) => paintMachine(draft, { cluster, metalMachine, node }) });
  return isUp && !node ? { requeueAfterMs: NODE_RETRY_MS } : undefined;
}

/** The name of a server's Node; undefined while it cannot be had. */
async function nodeOf(workloads: StandaloneMachineParts['workloads'], { metadata }: Cluster, server: string): Promise<string | undefined> {
  const { namespace = '', name } = metadata;
  const labels = `${NODE_LABEL}=${server}`;
  // A cluster that does not answer is told about by the loop that gives Nodes their provider ids.
  const nodes = await workloads.use({ namespace, name }, (client) => client.list(NodeKind, { labels }, { live: true })).catch(() => []);
  return nodes[0]?.metadata.name;
}

// Nobody owns it, as it is the user's; without this `clusterctl move` would leave it behind.
async function takeBootstrapAlong(resources: ResourceClient, { metadata, spec }: Machine): Promise<void> {
  const { dataSecretName } = spec?.bootstrap ?? {};
  if (!dataSecretName || metadata.deletionTimestamp) return;
  const secret = await resources.get(SecretKind, { ...(metadata.namespace ? { namespace: metadata.namespace } : {}), name: dataSecretName });
  if (!secret) return;
  const edit = (draft: Secret): void => {
    draft.metadata.labels = { ...draft.metadata.labels, [MOVE_LABEL]: '' };
  };
  await writeDifference(resources, SecretKind, { object: secret, edit });
}

async function adopted(resources: ResourceClient, machine: Machine): Promise<MetalMachine | undefined> {
  const { namespace = '' } = machine.metadata;
  const { clusterName = '', infrastructureRef } = machine.spec ?? {};
  if (infrastructureRef?.kind !== MetalMachineKind.kind || !infrastructureRef.name) return undefined;
  const metalMachine = await resources.get(MetalMachineKind, { namespace, name: infrastructureRef.name });
  if (!metalMachine || machine.metadata.deletionTimestamp) return metalMachine;
  const edit = (draft: MetalMachine): void => {
    draft.metadata.labels = { ...draft.metadata.labels, [CLUSTER_NAME_LABEL]: clusterName };
    draft.metadata.ownerReferences = ownedBy(draft, machine, { controller: true });
  };
  return writeDifference(resources, MetalMachineKind, { object: metalMachine, edit });
}

/** What a Machine says of itself, and who owns it: with its Cluster it goes. */
export function paintMachine(
  draft: Machine,
  {
    cluster,
    metalMachine,
    node,
  }: { readonly cluster: Cluster | undefined; readonly metalMachine: MetalMachine | undefined; readonly node: string | undefined },
): void {
  const { clusterName } = draft.spec ?? {};
  if (clusterName) draft.metadata.labels = { ...draft.metadata.labels, [CLUSTER_NAME_LABEL]: clusterName };
  if (cluster && !draft.metadata.deletionTimestamp) draft.metadata.ownerReferences = ownedBy(draft, cluster, { controller: false });
  const providerID = metalMachine?.spec?.providerID;
  if (providerID) draft.spec = { ...draft.spec, providerID };
  const { addresses, failureDomain } = metalMachine?.status ?? {};
  draft.status = {
    ...draft.status,
    bootstrapReady: draft.spec?.bootstrap?.dataSecretName !== undefined,
    infrastructureReady: metalMachine?.status?.ready === true,
    ...(addresses === undefined ? {} : { addresses }),
    ...(failureDomain === undefined ? {} : { failureDomain }),
    ...(node === undefined ? {} : { nodeRef: { apiVersion: 'v1', kind: 'Node', name: node } }),
  };
  draft.status.phase = machinePhase(draft);
}

function machinePhase({ metadata, spec, status }: Machine): MachinePhase {
  if (metadata.deletionTimestamp) return 'Deleting';
  if (!spec?.bootstrap?.dataSecretName) return 'Pending';
  if (!status?.infrastructureReady) return 'Provisioning';
  return status.nodeRef ? 'Running' : 'Provisioned';
}
