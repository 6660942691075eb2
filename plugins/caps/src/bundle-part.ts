import { readFileSync } from 'node:fs';
import type { BundlePart } from '@sidero/core';
import { CLUSTER_API_GROUP } from './kinds.ts';

const INFRASTRUCTURE = 'infrastructure.cluster.x-k8s.io';
const TEMPLATE = 'cluster-template.yaml';

/** What the provider does in the API beside core, and the template of `clusterctl generate cluster`. */
export function bundlePart(): BundlePart {
  return {
    name: 'caps',
    rules: [
      // Which versions of Cluster API there are.
      {
        apiGroups: ['apiextensions.k8s.io'],
        resources: ['customresourcedefinitions'],
        resourceNames: [`machines.${CLUSTER_API_GROUP}`],
        verbs: ['get'],
      },
      { apiGroups: [CLUSTER_API_GROUP], resources: ['clusters', 'machines'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [INFRASTRUCTURE], resources: ['metalclusters', 'metalmachines'], verbs: ['get', 'list', 'patch', 'watch'] },
      { apiGroups: [INFRASTRUCTURE], resources: ['serverbindings'], verbs: ['create', 'delete', 'get', 'list', 'patch', 'watch'] },
      { apiGroups: [INFRASTRUCTURE], resources: ['metalclusters/status', 'metalmachines/status', 'serverbindings/status'], verbs: ['patch'] },
      // Bootstrap data and kubeconfigs, in the namespaces of clusters.
      { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch'] },
    ],
    files: { [TEMPLATE]: readFileSync(new URL(`../manifests/${TEMPLATE}`, import.meta.url), 'utf8') },
  };
}
