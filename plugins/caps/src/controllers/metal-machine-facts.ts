import { type Ref, type ResourceClient, type ServerBinding, ServerBindingKind, ServerKind } from '@sidero/core';
import type { ClusterApi } from '../cluster-api-version.ts';
import {
  type Cluster,
  type ClusterApiKinds,
  clusterNameOf,
  keyOf,
  type Machine,
  MetalMachineKind,
  type OwnedMachine,
  ownerMachineOf,
  serverOfProviderId,
} from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import { type MachineFacts, namedServer } from './metal-machine-step.ts';

const BINDINGS_OF = 'metal-machine';
const MACHINES_OF = 'server';

/** Declares what is looked up here and by `machinesOn`; before start. */
export function declareIndexes(resources: ResourceClient): void {
  resources.index(ServerBindingKind, BINDINGS_OF, ({ spec }: ServerBinding) => {
    const { namespace, name } = spec?.metalMachineRef ?? {};
    return namespace && name ? [keyOf({ namespace, name })] : [];
  });
  resources.index(MetalMachineKind, MACHINES_OF, (metalMachine: MetalMachine) => {
    const server = serverOfProviderId(metalMachine);
    return server ? [server] : [];
  });
}

/** MetalMachines that a Server was given to, by their provider id. */
export function machinesOn(resources: ResourceClient, server: string): Promise<readonly MetalMachine[]> {
  return resources.find(MetalMachineKind, MACHINES_OF, server);
}

/** What a step of a MetalMachine is decided from; undefined when it is gone. */
export async function gatherFacts(
  { resources, clusterApi }: { readonly resources: ResourceClient; readonly clusterApi: ClusterApi },
  ref: Ref,
): Promise<MachineFacts | undefined> {
  const metalMachine = await resources.get(MetalMachineKind, ref);
  if (!metalMachine) return undefined;
  const kinds = await clusterApi.kinds();
  const machine = await machineOf(resources, kinds, metalMachine);
  const name = namedServer(metalMachine);
  const [cluster, bindings, server, holder] = await Promise.all([
    clusterOf(resources, kinds, { metalMachine, machine }),
    resources.find(ServerBindingKind, BINDINGS_OF, keyOf(ref)),
    name ? resources.get(ServerKind, { name }) : undefined,
    name ? resources.get(ServerBindingKind, { name }) : undefined,
  ]);
  return { metalMachine, machine, cluster, bindings, server, holder };
}

async function machineOf(resources: ResourceClient, { machine }: ClusterApiKinds, metalMachine: MetalMachine): Promise<Machine | undefined> {
  const name = ownerMachineOf(metalMachine);
  return name ? resources.get(machine, { ...namespaceOf(metalMachine), name }) : undefined;
}

/** The Cluster that a MetalMachine belongs to, when it exists. */
export async function clusterOf(resources: ResourceClient, { cluster }: ClusterApiKinds, owned: OwnedMachine): Promise<Cluster | undefined> {
  const { metalMachine } = owned;
  const name = clusterNameOf(owned);
  return name ? resources.get(cluster, { ...namespaceOf(metalMachine), name }) : undefined;
}

function namespaceOf({ metadata: { namespace } }: MetalMachine): { namespace?: string } {
  return namespace === undefined ? {} : { namespace };
}
