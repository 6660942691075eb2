/** On a Server: the group it was last given to, so that a later machine of that group gets it again. */
export const PLACED_FOR_ANNOTATION = 'metal.sidero.dev/placed-for';

const LABEL = 'cluster.x-k8s.io';

/** Whose labels tell of a group: those of a claim, which its ServerBinding has too. */
export interface Labelled {
  readonly namespace?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/**
 * Machines that stand in for each other: the control plane of a cluster, or one of its MachineDeployments, by Cluster API's labels. It is
 * the same before and after a rollout. Undefined for machines of no cluster.
 */
export function groupOf({ namespace, labels = {} }: Labelled): string | undefined {
  const cluster = labels[`${LABEL}/cluster-name`];
  if (!namespace || !cluster) return undefined;
  const isControlPlane = labels[`${LABEL}/control-plane`] !== undefined;
  const part = isControlPlane ? 'control-plane' : (labels[`${LABEL}/deployment-name`] ?? labels[`${LABEL}/set-name`]);
  return part ? `${namespace}/${cluster}/${part}` : `${namespace}/${cluster}`;
}
