import { hasCode, type ResourceClient, ServerBindingKind, ServerKind } from '@sidero/core';
import { groupOf, PLACED_FOR_ANNOTATION } from './group.ts';

/** Writes onto a Server for whom it is in use. It stays there when the Server is released. */
export async function keepPlacedFor(resources: ResourceClient, name: string): Promise<undefined> {
  const binding = await resources.get(ServerBindingKind, { name });
  const group = binding && groupOf({ namespace: binding.spec?.metalMachineRef?.namespace, labels: binding.metadata.labels });
  if (!group) return;
  const server = await resources.get(ServerKind, { name });
  if (!server || server.metadata.annotations?.[PLACED_FOR_ANNOTATION] === group) return;
  await resources
    .change(ServerKind, { name }, (draft) => {
      draft.metadata.annotations = { ...draft.metadata.annotations, [PLACED_FOR_ANNOTATION]: group };
    })
    .catch((thrown: unknown) => {
      if (!hasCode(thrown, 'SIDERO_RESOURCE_MISSING')) throw thrown;
    });
}
