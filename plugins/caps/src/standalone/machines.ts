import { type Controller, isTrue, type ResourceClient } from '@sidero/core';
import { ClusterMembers } from '../controllers/cluster-members.ts';
import { isPaused } from '../controllers/contract.ts';
import { writeDifference } from '../controllers/write-difference.ts';
import { type Cluster, CLUSTER_NAME_LABEL, clusterApiKinds, type Machine, MetalMachineKind } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import type { StandaloneParts } from './clusters.ts';
import { ownedBy } from './ownership.ts';

const { cluster: ClusterKind, machine: MachineKind } = clusterApiKinds('v1beta1');

/** Phases of a Machine, in Cluster API's words. */
export type MachinePhase = 'Pending' | 'Provisioning' | 'Provisioned' | 'Running' | 'Deleting';

/** The loop over Machines: the MetalMachine gets its owner, the Machine its own, its provider id, addresses and phase. */
export function standaloneMachines({ resources, isAllowed }: StandaloneParts): Controller<Machine> {
  const byCluster = new ClusterMembers();
  const byInfrastructure = new ClusterMembers();
  return {
    name: 'standalone-machines',
    kind: MachineKind,
    also: [
      { kind: ClusterKind, refs: (cluster) => byCluster.of(cluster) },
      { kind: MetalMachineKind, refs: (metalMachine) => byInfrastructure.of(metalMachine) },
    ],
    async reconcile(ref) {
      const machine = (await isAllowed()) ? await resources.get(MachineKind, ref) : undefined;
      byCluster.note(ref, machine?.spec?.clusterName);
      byInfrastructure.note(ref, machine?.spec?.infrastructureRef?.name);
      if (machine) await reconcile(resources, machine);
      return undefined;
    },
  };
}

async function reconcile(resources: ResourceClient, machine: Machine): Promise<void> {
  const { namespace = '' } = machine.metadata;
  const { clusterName = '' } = machine.spec ?? {};
  const cluster = clusterName ? await resources.get(ClusterKind, { namespace, name: clusterName }) : undefined;
  if (isPaused(machine, cluster)) return;
  const metalMachine = await adopted(resources, machine);
  await writeDifference(resources, MachineKind, { object: machine, edit: (draft) => paintMachine(draft, { cluster, metalMachine }) });
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
  { cluster, metalMachine }: { readonly cluster: Cluster | undefined; readonly metalMachine: MetalMachine | undefined },
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
    phase: machinePhase(draft, metalMachine),
  };
}

function machinePhase({ metadata, spec }: Machine, metalMachine: MetalMachine | undefined): MachinePhase {
  if (metadata.deletionTimestamp) return 'Deleting';
  if (!spec?.bootstrap?.dataSecretName) return 'Pending';
  if (!metalMachine?.status?.ready) return 'Provisioning';
  // Its Node has the provider id: it has come up, and is the machine that is meant.
  return isTrue(metalMachine.status.conditions, 'ProviderSet') ? 'Running' : 'Provisioned';
}
