import type { Kind, KubeObject, ResourceClient } from '@sidero/core';
import { CLUSTER_API_GROUP, type ClusterApiKinds, clusterApiKinds, type ClusterApiVersion } from './kinds.ts';

interface Definition extends KubeObject {
  spec?: { versions?: { name: string; served: boolean }[] };
}

const DefinitionKind: Kind<Definition> = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
/** Newest first. */
const KNOWN: readonly ClusterApiVersion[] = ['v1beta2', 'v1beta1'];
/** An upgrade of Cluster API is noticed within this time. */
const FRESH_MS = 60_000;

/** A function that gives Cluster API's kinds in the newest version that we know and the API serves; v1beta1 while it serves none. */
export function clusterApiKindsOf(resources: ResourceClient, now: () => number = Date.now): () => Promise<ClusterApiKinds> {
  let known: { readonly kinds: ClusterApiKinds; readonly untilMs: number } | undefined;
  return async () => {
    if (known && now() < known.untilMs) return known.kinds;
    const definition = await resources.get(DefinitionKind, { name: `machines.${CLUSTER_API_GROUP}` }, { live: true });
    const served = new Set(definition?.spec?.versions?.filter((version) => version.served).map(({ name }) => name));
    const kinds = clusterApiKinds(KNOWN.find((version) => served.has(version)) ?? 'v1beta1');
    known = { kinds, untilMs: now() + FRESH_MS };
    return kinds;
  };
}
