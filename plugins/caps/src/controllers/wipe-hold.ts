import type { Hold, ResourceClient, Server, WipePlan } from '@sidero/core';
import type { ClusterApi } from '../cluster-api-version.ts';
import { ownerMachineOf } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import { isPaused } from './contract.ts';
import { clusterOf, machinesOn } from './metal-machine-facts.ts';

/**
 * Holds a wipe while a MetalMachine has the server, whether or not its ServerBinding is there: that one may be lost, or not have arrived yet after
 * a move. What cannot be read holds too, as the tap then fails.
 */
export async function holdForMachines(
  { resources, clusterApi }: { readonly resources: ResourceClient; readonly clusterApi: ClusterApi },
  plan: WipePlan | Hold,
  server: Server,
): Promise<WipePlan | Hold> {
  for (const metalMachine of await machinesOn(resources, server.metadata.name)) {
    const { namespace, name, deletionTimestamp } = metalMachine.metadata;
    if (!deletionTimestamp) return { hold: `MetalMachine ${namespace}/${name} has it (spec.providerID); its ServerBinding is to be made again` };
    if (await isInPausedCluster(resources, clusterApi, metalMachine))
      return { hold: `MetalMachine ${namespace}/${name} has it, and is paused: its cluster may be moving` };
  }
  return plan;
}

async function isInPausedCluster(resources: ResourceClient, clusterApi: ClusterApi, metalMachine: MetalMachine): Promise<boolean> {
  const kinds = await clusterApi.kinds();
  const owner = ownerMachineOf(metalMachine);
  const { namespace } = metalMachine.metadata;
  const machine = owner ? await resources.get(kinds.machine, { ...(namespace ? { namespace } : {}), name: owner }) : undefined;
  return isPaused(metalMachine, await clusterOf(resources, kinds, { metalMachine, machine }));
}
