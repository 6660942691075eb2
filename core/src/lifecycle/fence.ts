import { failure } from '../errors.ts';
import type { ResourceClient } from '../resources/client.ts';
import type { Kind, KubeObject, Server } from '../resources/kinds.ts';

/** Which installation may act on a Server: "<uid of namespace kube-system>/<epoch>". An annotation, as it survives a move. */
export const FENCE_ANNOTATION = 'metal.sidero.dev/fence';

const NamespaceKind: Kind<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false, statusSubresource: false };
const FENCE = /^(?<installation>[^/\s]+)\/(?<epoch>\d{1,9})$/;

/** Whose a Server is. What cannot be read is foreign: a doubt must not cost a disk. */
export type Fence = 'none' | 'ours' | 'foreign';

/** Who we are, on this cluster: the uid of its namespace kube-system. @throws SIDERO_RESOURCE_MISSING when there is none */
export async function readInstallation(resources: ResourceClient): Promise<string> {
  const name = 'kube-system';
  const namespace = await resources.get(NamespaceKind, { name }, { live: true });
  if (!namespace?.metadata.uid) throw failure('SIDERO_RESOURCE_MISSING', { kind: NamespaceKind.kind, name });
  return namespace.metadata.uid;
}

/** Whose a Server is, for us as `installation`. */
export function fenceOf({ metadata }: Server, installation: string): Fence {
  const text = metadata.annotations?.[FENCE_ANNOTATION];
  if (!text) return 'none';
  return FENCE.exec(text)?.groups?.['installation'] === installation ? 'ours' : 'foreign';
}

/** Makes a Server ours. The epoch counts how often it changed hands. */
export function takeFence({ metadata }: Server, installation: string): void {
  const before = Number(FENCE.exec(metadata.annotations?.[FENCE_ANNOTATION] ?? '')?.groups?.['epoch'] ?? 0);
  metadata.annotations = { ...metadata.annotations, [FENCE_ANNOTATION]: `${installation}/${before + 1}` };
}
