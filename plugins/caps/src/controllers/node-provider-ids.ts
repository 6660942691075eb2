import { type Controller, messageOf, type Ref, type ResourceClient } from '@sidero/core';
import type { ClusterApi } from '../cluster-api-version.ts';
import { MetalMachineKind, providerIdOf, serverOfProviderId } from '../kinds.ts';
import { NODE_LABEL } from '../machine-config/node-label.ts';
import type { MetalMachine } from '../types.gen.ts';
import { isPaused } from './contract.ts';
import { gatherFacts } from './metal-machine-facts.ts';
import { providerUpdateFailed } from './metal-machine-picture.ts';
import { holds, type Observation, observe } from './observations.ts';
import { type Node, NodeKind, type WorkloadClusters } from './workload-clusters.ts';
import { writeDifference } from './write-difference.ts';

/** What the loop works with. */
export interface NodeProviderIdParts {
  readonly resources: ResourceClient;
  readonly clusterApi: ClusterApi;
  readonly workloads: WorkloadClusters;
  readonly now: () => Date;
}

/** A cluster that does not answer holds its own machines only: so many are asked about at once. */
const CONCURRENCY = 1024;
/** A Node that is made anew has no provider id. */
const RECHECK_MS = 5 * 60_000;
const RETRY_MS = 10_000;

/** The loop over Nodes of the clusters made here: each gets the provider id of its MetalMachine, which then says ProviderSet. */
export function nodeProviderIds(parts: NodeProviderIdParts): Controller<MetalMachine> {
  const checkedAt = new Map<string, number>();
  return {
    name: 'node-provider-ids',
    kind: MetalMachineKind,
    concurrency: CONCURRENCY,
    async reconcile(ref) {
      const facts = await gatherFacts(parts, ref);
      const server = facts && serverOfProviderId(facts.metalMachine);
      const key = `${ref.namespace}/${ref.name}`;
      if (!facts?.cluster || !server || facts.metalMachine.metadata.deletionTimestamp) return void checkedAt.delete(key);
      if (isPaused(facts.metalMachine, facts.cluster) || !facts.metalMachine.status?.ready) return undefined;
      const now = parts.now().getTime();
      const waitMs = (checkedAt.get(key) ?? -Infinity) + RECHECK_MS - now;
      // Most changes of a MetalMachine are none of its Node.
      if (waitMs > 0 && hasProviderSet(facts.metalMachine)) return { requeueAfterMs: waitMs };
      const seen = await look(parts.workloads, clusterRef(ref, facts.cluster.metadata.name), server);
      await tell(parts, facts.metalMachine, seen);
      if (seen.status === 'True') checkedAt.set(key, now);
      return { requeueAfterMs: seen.status === 'True' ? RECHECK_MS : RETRY_MS };
    },
  };
}

function clusterRef({ namespace }: Ref, name: string): Ref {
  return { ...(namespace === undefined ? {} : { namespace }), name };
}

function hasProviderSet({ status }: MetalMachine): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'ProviderSet' && is === 'True') ?? false;
}

async function look(workloads: WorkloadClusters, cluster: Ref, server: string): Promise<Observation> {
  try {
    const problem = await workloads.use(cluster, (client) => setProviderId(client, server));
    return problem === undefined ? holds('ProviderSet') : providerUpdateFailed(problem);
  } catch (thrown) {
    return providerUpdateFailed(messageOf(thrown));
  }
}

/** Gives the Node of a server its provider id; or why it cannot have it. */
async function setProviderId(client: ResourceClient, server: string): Promise<string | undefined> {
  const label = `${NODE_LABEL}=${server}`;
  const [node, ...others] = await client.list(NodeKind, { labels: label }, { live: true });
  if (!node) return `no Node has the label ${label} yet`;
  if (others.length > 0) return `several Nodes have the label ${label}: ${[node, ...others].map(({ metadata }) => metadata.name).join(', ')}`;
  const wanted = providerIdOf(server);
  const is = node.spec?.providerID;
  if (is === wanted) return undefined;
  // Kubernetes refuses to change one.
  if (is) return `Node ${node.metadata.name} has the provider id ${is}, which cannot be changed to ${wanted}; delete the Node, and it comes back`;
  await client.change<Node>(NodeKind, { name: node.metadata.name }, (draft) => {
    if (draft.spec?.providerID) return false;
    draft.spec = { ...draft.spec, providerID: wanted };
  });
  return undefined;
}

async function tell({ resources, now }: NodeProviderIdParts, metalMachine: MetalMachine, seen: Observation): Promise<void> {
  const at = now();
  await writeDifference(resources, MetalMachineKind, {
    object: metalMachine,
    edit: (draft) => {
      const status = { ...draft.status };
      observe(status, [seen], { now: at, isPaused: false });
      draft.status = status;
    },
  });
}
