import type { Candidate, Rejection, ResourceClient, Selection } from '@sidero/core';
import { machinesOn } from './metal-machine-facts.ts';

/**
 * A server that a MetalMachine has is nobody else's, whether or not its ServerBinding is there: it may be lost, and is made again when the
 * MetalMachine may go on. Until the loop over servers has heard of it, such a Server may still say that it is clean and free.
 */
export async function rejectHeld(resources: ResourceClient, selection: Selection): Promise<Selection> {
  const judged = await Promise.all(selection.candidates.map((candidate) => judge(resources, candidate, selection.claim)));
  const rejected = judged.flatMap((rejection) => rejection ?? []);
  if (rejected.length === 0) return selection;
  const candidates = selection.candidates.filter((_, index) => judged[index] === undefined);
  return { ...selection, candidates, rejected: [...selection.rejected, ...rejected] };
}

async function judge(resources: ResourceClient, { server }: Candidate, claim: Selection['claim']): Promise<Rejection | undefined> {
  const holders = await machinesOn(resources, server.metadata.name);
  const holder = holders.find(({ metadata: { namespace, name } }) => namespace !== claim.namespace || name !== claim.name);
  if (!holder) return undefined;
  const { namespace, name } = holder.metadata;
  return { server, plugin: 'caps', reason: `held by MetalMachine ${namespace}/${name} (spec.providerID)` };
}
