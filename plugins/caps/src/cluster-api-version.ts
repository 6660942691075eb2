import type { Kind, KubeObject, LateKind, ResourceClient } from '@sidero/core';
import { CLUSTER_API_GROUP, type ClusterApiKinds, clusterApiKinds, type ClusterApiVersion } from './kinds.ts';

interface Definition extends KubeObject {
  spec?: { versions?: { name: string; served: boolean }[] };
}

/** CustomResourceDefinitions, as far as we read them. */
export const DefinitionKind: Kind<Definition> = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
/** Newest first. */
const KNOWN: readonly ClusterApiVersion[] = ['v1beta2', 'v1beta1'];
/** An upgrade of Cluster API is noticed within this time. */
const FRESH_MS = 60_000;
/** What is not there yet may be there in a moment. */
const ABSENT_MS = 2_000;

/** Where Cluster API is asked for. */
export interface ClusterApi {
  /** Its kinds in the newest version that we know and the API serves; in v1beta1 while it serves none. */
  kinds(): Promise<ClusterApiKinds>;
  /** That version; undefined while Cluster API is not installed. */
  version(): Promise<ClusterApiVersion | undefined>;
}

/** Looks Cluster API up in the API, and again every minute. */
export function clusterApiOf(resources: ResourceClient, now: () => number = Date.now): ClusterApi {
  let known: { readonly version: ClusterApiVersion | undefined; readonly untilMs: number } | undefined;
  const version = async (): Promise<ClusterApiVersion | undefined> => {
    if (known && now() < known.untilMs) return known.version;
    const definition = await resources.get(DefinitionKind, { name: `machines.${CLUSTER_API_GROUP}` }, { live: true });
    const served = new Set(definition?.spec?.versions?.filter((one) => one.served).map(({ name }) => name));
    const found = KNOWN.find((one) => served.has(one));
    known = { version: found, untilMs: now() + (found ? FRESH_MS : ABSENT_MS) };
    return found;
  };
  return { version, kinds: async () => clusterApiKinds((await version()) ?? 'v1beta1') };
}

/** One of Cluster API's kinds, for a controller that is to watch it once it is there. */
export function lateKind(clusterApi: ClusterApi, pick: (kinds: ClusterApiKinds) => Kind<KubeObject>): LateKind {
  return async () => ((await clusterApi.version()) ? pick(await clusterApi.kinds()) : undefined);
}
