import { EnvironmentKind, environmentNameOf, type ResourceClient, type ServerBinding, ServerClassKind, ServerKind } from '@sidero/core';

/** The kernel argument that tells a machine where to join. */
export const API_ARGUMENT = 'siderolink.api=';

/** The Environment that an allocated server network-boots; undefined when there is none. */
export async function environmentOf(resources: Pick<ResourceClient, 'get'>, binding: ServerBinding) {
  const server = await resources.get(ServerKind, { name: binding.metadata.name });
  if (!server) return undefined;
  const className = binding.spec?.serverClassRef?.name;
  const serverClass = className ? await resources.get(ServerClassKind, { name: className }) : undefined;
  return await resources.get(EnvironmentKind, { name: environmentNameOf(server, serverClass) });
}

/** Whether the user wrote `siderolink.api=` into the Environment that this server boots. */
export async function hasOwnArgument(resources: Pick<ResourceClient, 'get'>, binding: ServerBinding): Promise<boolean> {
  const environment = await environmentOf(resources, binding);
  return environment?.spec?.kernel?.args?.some((argument) => argument.startsWith(API_ARGUMENT)) ?? false;
}
