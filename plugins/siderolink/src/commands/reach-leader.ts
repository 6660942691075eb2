/** The command by which the management listener of the replica that leads is reached. `leader` is its host name: a pod's, or its node's. */
export function reachLeader({ leader, namespace }: { readonly leader: string | undefined; readonly namespace: string }): string {
  if (!leader) return `kubectl -n ${namespace} port-forward pod/POD 8443, once one does`;
  return `kubectl -n ${namespace} port-forward pod/${leader} 8443 (on the host's network ${leader} is the node; kubectl get pods -o wide tells the pod)`;
}
