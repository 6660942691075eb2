import { type BootPlan, type BootRequest, type ResourceClient, ServerKind } from '@sidero/core';
import { machinesOn } from './metal-machine-facts.ts';

/**
 * A machine that a MetalMachine has does not boot the agent while its ServerBinding is lost: that one is made again in a moment, and the machine asks
 * again. One whose Server is gone too must register, and so boots it.
 */
export async function holdForBinding(resources: ResourceClient, plan: BootPlan, { uuid }: BootRequest): Promise<BootPlan> {
  if (plan.target !== 'agent' || uuid === '') return plan;
  const holder = (await machinesOn(resources, uuid)).find(({ metadata }) => !metadata.deletionTimestamp);
  if (!holder || !(await resources.get(ServerKind, { name: uuid }))) return plan;
  const { namespace, name } = holder.metadata;
  return { target: 'wait', status: 503, reason: `MetalMachine ${namespace}/${name} has this server, and its ServerBinding is being made again` };
}
