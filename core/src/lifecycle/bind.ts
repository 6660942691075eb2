import { failure } from '../errors.ts';
import type { MachineIdentity } from '../hooks.ts';
import { type ServerBinding, ServerKind } from '../resources/kinds.ts';
import type { StageContext } from './context.ts';

/** What a bound machine is told about itself; may be asked again at any time. @throws SIDERO_RESOURCE_MISSING */
export async function bind({ hooks, resources }: StageContext, binding: ServerBinding): Promise<MachineIdentity> {
  const { name } = binding.metadata;
  const server = await resources.get(ServerKind, { name });
  if (!server) throw failure('SIDERO_RESOURCE_MISSING', { kind: 'Server', name });
  return hooks.bind.promise({ labels: {}, documents: [], patches: [] }, binding, server);
}
