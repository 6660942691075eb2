import { readFileSync } from 'node:fs';
import type { CustomResource, CustomResourceDefinition, KubeObject, ResourceClient } from '@sidero/core';
import { load } from 'js-yaml';
import { DefinitionKind } from '../cluster-api-version.ts';
import { CLUSTER_API_GROUP } from '../kinds.ts';

// From src/ and from dist/ alike.
const MANIFESTS = new URL('../../manifests/standalone/', import.meta.url);
/** Annotation of definitions that are ours, not Cluster API's own. */
const STANDALONE_ANNOTATION = 'metal.sidero.dev/standalone';

/** Label of the definitions that `clusterctl` looks at. */
const CLUSTERCTL_LABEL = 'clusterctl.cluster.x-k8s.io';

/** Cluster API's Cluster and Machine, as far as a MetalMachine needs them. */
export function standaloneCustomResources(): CustomResource[] {
  return ['clusters', 'machines'].map((plural) => {
    const definition = load(readFileSync(new URL(`${plural}.yaml`, MANIFESTS), 'utf8')) as CustomResourceDefinition;
    return { name: definition.metadata.name, definition, isEmbeddedOnly: true };
  });
}

/** Why Cluster API's part must not be done here, as a clause; undefined when Cluster and Machine are ours. */
export async function whyRefused(resources: ResourceClient): Promise<string | undefined> {
  const names = ['clusters', 'machines'].map((plural) => `${plural}.${CLUSTER_API_GROUP}`);
  const definitions = await Promise.all(names.map((name) => resources.get<KubeObject>(DefinitionKind, { name }, { live: true })));
  if (definitions.some((definition) => definition === undefined)) return 'this is not the embedded API: it lacks the definitions that come with it';
  const isOurs = definitions.every((definition) => definition?.metadata.annotations?.[STANDALONE_ANNOTATION] === 'true');
  return isOurs ? undefined : 'Cluster API itself is installed here';
}

/** Marks our definitions as `clusterctl init` does when it installs a provider: `clusterctl move` takes only objects of such. */
export async function markForMove(resources: ResourceClient): Promise<void> {
  const ours = (await resources.list<KubeObject>(DefinitionKind, { labels: 'cluster.x-k8s.io/provider=sidero' }, { live: true })).filter(
    ({ metadata }) => metadata.labels?.[CLUSTERCTL_LABEL] === undefined,
  );
  for (const { metadata } of ours) {
    await resources.change<KubeObject>(DefinitionKind, { name: metadata.name }, (draft) => {
      draft.metadata.labels = { ...draft.metadata.labels, [CLUSTERCTL_LABEL]: '' };
    });
  }
}
