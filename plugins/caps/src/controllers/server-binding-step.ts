import { conditionOf, type Server, type ServerBinding } from '@sidero/core';
import type { Cluster } from '../kinds.ts';
import type { MetalMachine } from '../types.gen.ts';
import { isPaused } from './contract.ts';
import { isBoundBy } from './metal-machine-step.ts';

/** All that is decided about a ServerBinding from. */
export interface BindingFacts {
  readonly binding: ServerBinding;
  readonly server: Server | undefined;
  /** The MetalMachine of the name that it says, whichever uid that has. */
  readonly metalMachine: MetalMachine | undefined;
  /** The Cluster that its label names. */
  readonly cluster: Cluster | undefined;
  /** Since when it is known that its MetalMachine is gone. */
  readonly orphanSince: Date | undefined;
  /** How long such a ServerBinding is kept. */
  readonly graceMs: number;
  readonly now: Date;
}

/** What becomes of a ServerBinding. To free it is to have its server wiped, so that every doubt keeps it. */
export type BindingStep =
  | { readonly kind: 'keep' }
  /** Nobody has it, but that may be a move: a person decides. */
  | { readonly kind: 'doubt'; readonly reason: string; readonly message: string }
  | { readonly kind: 'count-down'; readonly message: string; readonly leftMs: number }
  | { readonly kind: 'free' };

const MAY_HAVE_MOVED = 'MayHaveMoved';

/** What becomes of a ServerBinding. Pure. */
export function nextBindingStep({ binding, metalMachine, cluster, orphanSince, graceMs, now }: BindingFacts): BindingStep {
  if (metalMachine && isBoundBy(binding, metalMachine)) return { kind: 'keep' };
  const { namespace, name, uid } = binding.spec?.metalMachineRef ?? {};
  const gone = `MetalMachine ${namespace}/${name}${uid ? ` with uid ${uid}` : ''} does not exist`;
  const byHand = `delete ServerBinding ${binding.metadata.name} by hand if its machine may be wiped`;
  // `clusterctl move` takes the Cluster along: without it nobody can tell a move from a deletion. Nor can that be told once the Cluster is back:
  // while it was elsewhere, the server may have become somebody else's there.
  const wasGone = conditionOf(binding.status?.conditions, 'MetalMachineExists')?.reason === MAY_HAVE_MOVED;
  if (!cluster) return { kind: 'doubt', reason: MAY_HAVE_MOVED, message: `${gone}, nor does its Cluster, which may have been moved: ${byHand}` };
  if (wasGone) return { kind: 'doubt', reason: MAY_HAVE_MOVED, message: `${gone}, and its Cluster, which is back, may have been moved: ${byHand}` };
  if (isPaused(cluster, cluster) || isPaused(binding, cluster))
    return { kind: 'doubt', reason: 'ClusterPaused', message: `${gone}; its Cluster is paused, so nothing is done` };
  const leftMs = graceMs - (now.getTime() - (orphanSince ?? now).getTime());
  if (leftMs <= 0) return { kind: 'free' };
  return {
    kind: 'count-down',
    message: `${gone}; it is freed, and its server wiped, when that stays so for ${Math.round(graceMs / 1000)} s`,
    leftMs,
  };
}
