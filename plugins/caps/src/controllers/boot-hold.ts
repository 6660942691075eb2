import { type BootPlan, type BootRequest, type Ref, type ResourceClient, ServerBindingKind, ServerKind } from '@sidero/core';
import { MetalMachineKind, serverOfProviderId } from '../kinds.ts';
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

/**
 * Nothing is installed before its MetalMachine says which server it has, some milliseconds after it was bound: should the ServerBinding get lost
 * until then, nobody would know whose machine that is, and it would be wiped while it runs.
 */
export async function holdForRecord(resources: ResourceClient, plan: BootPlan, { uuid, peek }: BootRequest): Promise<BootPlan> {
  if (plan.target !== 'environment' || peek) return plan;
  const { namespace = '', name = '' } = (await resources.get(ServerBindingKind, { name: uuid }))?.spec?.metalMachineRef ?? {};
  if (name === '' || (await isRecorded(resources, { uuid, ref: { namespace, name } }))) return plan;
  return { target: 'wait', status: 503, reason: `MetalMachine ${namespace}/${name} does not say yet that it has this server` };
}

// One that is not there at all gets no configuration either.
async function isRecorded(resources: ResourceClient, { uuid, ref }: { readonly uuid: string; readonly ref: Ref }): Promise<boolean> {
  for (const live of [false, true]) {
    const metalMachine = await resources.get(MetalMachineKind, ref, { live });
    if (metalMachine ? serverOfProviderId(metalMachine) === uuid : live) return true;
  }
  return false;
}
