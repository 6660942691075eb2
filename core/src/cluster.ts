import { existsSync } from 'node:fs';
import { KubeConfig } from '@kubernetes/client-node';
import { failure } from './errors.ts';
import type { Kernel } from './kernel.ts';
import type { Variables } from './settings.ts';

/** A Kubernetes API to work with. */
export interface Cluster {
  readonly kubeConfig: KubeConfig;
  /** True when a plugin brought it: it is ours alone. */
  readonly isOwn: boolean;
}

const IN_CLUSTER_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * Finds the API: `kubeconfig` (the flag), `KUBECONFIG`, the cluster we run in, else what a plugin provides.
 * Never ~/.kube/config: a management plane that starts beside a live one by accident could power-cycle its servers.
 * @throws SIDERO_CLUSTER_MISSING
 */
export async function connectCluster(
  kernel: Kernel,
  given: { kubeconfig?: string | undefined; variables: Variables; signal: AbortSignal },
): Promise<Cluster> {
  const kubeConfig = new KubeConfig();
  const file = given.kubeconfig ?? (given.variables['KUBECONFIG'] || undefined);
  if (file) {
    kubeConfig.loadFromFile(file);
    return { kubeConfig, isOwn: false };
  }
  if (given.variables['KUBERNETES_SERVICE_HOST'] && existsSync(IN_CLUSTER_TOKEN)) {
    kubeConfig.loadFromCluster();
    return { kubeConfig, isOwn: false };
  }
  const [provider] = kernel.clusters;
  if (!provider) throw failure('SIDERO_CLUSTER_MISSING', {});
  const customResources = kernel.tables.customResources.for('core').list();
  return { kubeConfig: await provider.connect({ dataDir: kernel.site.dataDir, customResources, signal: given.signal }), isOwn: true };
}
