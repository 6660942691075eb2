import { KubeConfig } from '@kubernetes/client-node';
import { failure, messageOf } from '../errors.ts';

/** What of a user entry has us run a program or read a file here. */
const OURS_TO_GIVE = ['exec', 'authProvider', 'certFile', 'keyFile'] as const;

/**
 * Reads a kubeconfig that comes from somebody else, out of a Secret. All that it needs must stand in it: one that names a program to run or a file
 * to read is refused, as both would be ours.
 * @throws SIDERO_CLUSTER_INVALID
 */
export function inlineKubeConfig(text: string): KubeConfig {
  const kubeConfig = new KubeConfig();
  try {
    kubeConfig.loadFromString(text);
  } catch (cause) {
    throw failure('SIDERO_CLUSTER_INVALID', { context: '', problem: `it is no kubeconfig: ${messageOf(cause).split('\n')[0]}` });
  }
  const context = kubeConfig.getCurrentContext();
  const refuse = (problem: string) => failure('SIDERO_CLUSTER_INVALID', { context, problem });
  const [cluster, user] = [kubeConfig.getCurrentCluster(), kubeConfig.getCurrentUser()];
  if (!cluster) throw refuse('it names no cluster');
  const given = OURS_TO_GIVE.find((field) => user?.[field]);
  if (given) throw refuse(`its user has ${given}, which is not taken from a Secret`);
  if (cluster.caFile) throw refuse('its cluster has certificate-authority as a file, which is not taken from a Secret');
  return kubeConfig;
}
