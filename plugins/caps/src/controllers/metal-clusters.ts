import { type Controller, type KubeObject, type Ref, type ResourceClient, type Server, ServerKind } from '@sidero/core';
import { type ClusterApi, lateKind } from '../cluster-api-version.ts';
import { type Cluster, keyOf, MetalClusterKind, ownerClusterOf } from '../kinds.ts';
import type { MetalCluster } from '../types.gen.ts';
import { isPaused, MANAGED_BY_ANNOTATION, METAL_CLUSTER_FINALIZER, ZONE_LABEL } from './contract.ts';
import { failureDomainsOf, zonesOf } from './failure-domains.ts';
import { holds, type Observation, observe } from './observations.ts';
import { writeDifference } from './write-difference.ts';

/** What the loop works with. */
export interface MetalClusterParts {
  readonly resources: ResourceClient;
  readonly clusterApi: ClusterApi;
  readonly now: () => Date;
}

/** Zones whose last Server went are noticed within this time. */
const LOOK_AGAIN_MS = 10 * 60_000;

/** The loop over MetalClusters: nothing is provisioned, as the endpoint is the user's; Cluster API is told so. */
export function metalClusters(parts: MetalClusterParts): Controller<MetalCluster> {
  const known = new Map<string, Ref>();
  const zones = new ServerZones();
  return {
    name: 'metal-clusters',
    kind: MetalClusterKind,
    also: [{ kind: ServerKind, refs: (server) => (zones.isNew(server as Server) ? [...known.values()] : []) }],
    late: [{ kind: lateKind(parts.clusterApi, ({ cluster }) => cluster), refs: clusterRefs }],
    async reconcile(ref) {
      const metalCluster = await parts.resources.get(MetalClusterKind, ref);
      const key = keyOf(ref);
      if (metalCluster) known.set(key, ref);
      else known.delete(key);
      return metalCluster && reconcile(parts, metalCluster);
    },
  };
}

function clusterRefs({ metadata, spec }: KubeObject & Pick<Cluster, 'spec'>): readonly Ref[] {
  const { kind, name } = spec?.infrastructureRef ?? {};
  return kind === MetalClusterKind.kind && name ? [{ ...(metadata.namespace ? { namespace: metadata.namespace } : {}), name }] : [];
}

/** Where accepted Servers stand, as last seen. */
class ServerZones {
  readonly #zones = new Map<string, string>();

  /** Whether that is news. */
  isNew({ metadata, spec }: Server): boolean {
    const zone = (spec?.accepted && !metadata.deletionTimestamp && metadata.labels?.[ZONE_LABEL]) || '';
    if ((this.#zones.get(metadata.name) ?? '') === zone) return false;
    if (zone) this.#zones.set(metadata.name, zone);
    else this.#zones.delete(metadata.name);
    return true;
  }
}

async function reconcile(parts: MetalClusterParts, metalCluster: MetalCluster): Promise<{ requeueAfterMs: number } | undefined> {
  const { resources, clusterApi, now } = parts;
  const write = (edit: (draft: MetalCluster) => void) => writeDifference(resources, MetalClusterKind, { object: metalCluster, edit });
  const name = ownerClusterOf(metalCluster);
  const { namespace } = metalCluster.metadata;
  const cluster = name ? await resources.get((await clusterApi.kinds()).cluster, { ...(namespace ? { namespace } : {}), name }) : undefined;
  const step = clusterStep(metalCluster, cluster);
  if (step === 'leave') return undefined;
  if (step === 'let-go') return void (await write(paintLetGo));
  const at = now();
  if (step === 'pause') return void (await write((draft) => paintObserved(draft, [], { now: at, isPaused: true })));
  if (step === 'wait') return void (await write((draft) => paintObserved(draft, [waitingFor(name)], { now: at, isPaused: false })));
  const version = (await clusterApi.version()) ?? 'v1beta1';
  const failureDomains = failureDomainsOf(zonesOf(await resources.list(ServerKind)), version);
  await write((draft) => paintReady(draft, { cluster: cluster!, failureDomains, now: at }));
  return { requeueAfterMs: LOOK_AGAIN_MS };
}

/** What to do for a MetalCluster. A deletion needs neither owner nor anything else; what is paused or somebody else's is left alone, and of the latter not even that is told. */
export function clusterStep(metalCluster: MetalCluster, cluster: Cluster | undefined): 'leave' | 'let-go' | 'pause' | 'wait' | 'ready' {
  const { annotations, deletionTimestamp } = metalCluster.metadata;
  if (annotations?.[MANAGED_BY_ANNOTATION] !== undefined && !deletionTimestamp) return 'leave';
  if (isPaused(metalCluster, cluster)) return 'pause';
  if (deletionTimestamp) return 'let-go';
  return cluster ? 'ready' : 'wait';
}

function paintLetGo({ metadata }: MetalCluster): void {
  metadata.finalizers = (metadata.finalizers ?? []).filter((finalizer) => finalizer !== METAL_CLUSTER_FINALIZER);
}

function waitingFor(owner: string | undefined): Observation {
  const message = owner ? `its Cluster ${owner} does not exist` : 'no Cluster of Cluster API owns it; Cluster API makes that link';
  return { type: 'Ready', status: 'False', reason: owner ? 'ClusterMissing' : 'WaitingForCluster', severity: 'Info', message };
}

/** A MetalCluster that has its Cluster. */
export function paintReady(
  draft: MetalCluster,
  { cluster, failureDomains, now }: { readonly cluster: Cluster; readonly failureDomains: unknown; readonly now: Date },
): void {
  const others = (draft.metadata.finalizers ?? []).filter((finalizer) => finalizer !== METAL_CLUSTER_FINALIZER);
  draft.metadata.finalizers = [...others, METAL_CLUSTER_FINALIZER];
  const { failureDomains: _, ...status } = draft.status ?? {};
  draft.status = { ...status, ready: true, initialization: { provisioned: true }, ...(failureDomains === undefined ? {} : { failureDomains }) };
  const endpoint = endpointObservation(draft, cluster);
  const ready: Observation = endpoint.status === 'True' ? holds('Ready') : { ...endpoint, type: 'Ready' };
  paintObserved(draft, [ready, endpoint], { now, isPaused: false });
}

// Machines may be made all the same, as with the original: the endpoint may be set later.
function endpointObservation({ spec }: MetalCluster, cluster: Cluster): Observation {
  const type = 'ControlPlaneEndpointSet';
  const endpoint = spec?.controlPlaneEndpoint ?? { host: '', port: 0 };
  const { host = '', port = 0 } = endpoint.host || endpoint.port ? endpoint : (cluster.spec?.controlPlaneEndpoint ?? {});
  const isUsable = host !== '' && !/[\s/]/.test(host) && port > 0 && port < 65_536;
  if (isUsable) return holds(type);
  const message = host || port ? `"${host}:${port}" is no endpoint` : 'spec.controlPlaneEndpoint names no host and port of the Kubernetes API';
  return { type, status: 'False', reason: 'ControlPlaneEndpointInvalid', severity: 'Warning', message };
}

function paintObserved(draft: MetalCluster, observations: readonly Observation[], seen: { readonly now: Date; readonly isPaused: boolean }): void {
  const status = { ...draft.status, ready: draft.status?.ready ?? false };
  observe(status, observations, seen);
  draft.status = status;
}
