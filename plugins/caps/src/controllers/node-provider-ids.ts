import type { Controller, Ref, ResourceClient } from '@sidero/core';
import type { ClusterApi } from '../cluster-api-version.ts';
import { adviceOf } from '../errors.ts';
import { keyOf, MetalMachineKind, providerIdOf, serverOfProviderId } from '../kinds.ts';
import { NODE_LABEL } from '../machine-config/node-label.ts';
import type { MetalMachine } from '../types.gen.ts';
import { COMPONENT, isPaused } from './contract.ts';
import { gatherFacts } from './metal-machine-facts.ts';
import { providerUpdateFailed } from './metal-machine-picture.ts';
import { holds, type Observation, observe } from './observations.ts';
import { Reminders } from './reminders.ts';
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
/** A machine that is new takes its time to join; one that takes longer is worth an Event. */
const LONG_MS = 15 * 60_000;

/** The loop over Nodes of the clusters made here: each gets the provider id of its MetalMachine, which then says ProviderSet. */
export function nodeProviderIds(parts: NodeProviderIdParts): Controller<MetalMachine> {
  const checkedAt = new Map<string, number>();
  const reminders = new Reminders();
  return {
    name: 'node-provider-ids',
    kind: MetalMachineKind,
    concurrency: CONCURRENCY,
    async reconcile(ref) {
      const facts = await gatherFacts(parts, ref);
      const server = facts && serverOfProviderId(facts.metalMachine);
      const key = keyOf(ref);
      if (!facts?.cluster || !server || facts.metalMachine.metadata.deletionTimestamp) {
        checkedAt.delete(key);
        reminders.forget(ref);
        return undefined;
      }
      if (isPaused(facts.metalMachine, facts.cluster) || !facts.metalMachine.status?.ready) return undefined;
      const now = parts.now();
      const waitMs = (checkedAt.get(key) ?? -Infinity) + RECHECK_MS - now.getTime();
      // Most changes of a MetalMachine are none of its Node.
      if (waitMs > 0 && hasProviderSet(facts.metalMachine)) return { requeueAfterMs: waitMs };
      const seen = await look(parts.workloads, clusterRef(ref, facts.cluster.metadata.name), server);
      await tell(parts, facts.metalMachine, seen);
      if (seen.status === 'True') {
        checkedAt.set(key, now.getTime());
        reminders.forget(ref);
        return { requeueAfterMs: RECHECK_MS };
      }
      if (reminders.isDue(ref, 'node', { now, afterMs: LONG_MS })) await remind(parts, facts.metalMachine, seen.message ?? '');
      return { requeueAfterMs: RETRY_MS };
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
    return providerUpdateFailed(adviceOf(thrown));
  }
}

/** Gives the Node of a server its provider id; or why it cannot have it. */
async function setProviderId(client: ResourceClient, server: string): Promise<string | undefined> {
  const label = `${NODE_LABEL}=${server}`;
  const [node, ...others] = await client.list(NodeKind, { labels: label }, { live: true });
  if (!node) return `no Node has the label ${label} yet: its machine has not joined the cluster; sidero why ${server} tells what it does`;
  const names = [node, ...others].map(({ metadata }) => metadata.name).join(', ');
  if (others.length > 0) return `several Nodes have the label ${label}: ${names}; delete those that are not its machine`;
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

function remind({ resources }: NodeProviderIdParts, metalMachine: MetalMachine, problem: string): Promise<void> {
  const message = `Its Node has no provider id, for ${LONG_MS / 60_000} min or longer: ${problem}`;
  return resources.record(metalMachine, { type: 'Warning', reason: 'Node Provider ID', message, component: COMPONENT });
}
