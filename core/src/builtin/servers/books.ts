import {
  ADOPT_ANNOTATION,
  type Condition,
  fenceOf,
  isAdopted,
  isTrue,
  markFalse,
  markTrue,
  removeCondition,
  REQUEST_ANNOTATION,
  SERVER_FINALIZER,
  type Server,
  type ServerBinding,
  takeFence,
} from '../../index.ts';

/** What the books are kept from, besides the Server itself. */
export interface Ledger {
  readonly binding: ServerBinding | undefined;
  readonly now: Date;
  /** Who we are; see `fenceOf`. Undefined for a Server that goes: nothing is claimed any more. */
  readonly installation: string | undefined;
  /** Whether some driver can switch its power. */
  readonly isManaged: boolean;
}

/** A copy to try an edit of the books or of the status on: what neither touches is shared, as a Server is large and rarely changes. */
export function sketchOf(server: Server): Server {
  const { metadata, status } = server;
  const annotations = metadata.annotations && { annotations: { ...metadata.annotations } };
  return { ...server, metadata: { ...metadata, ...annotations }, ...(status && { status: { ...status } }) };
}

/** Brings finalizer, fence, `inUse`, `isClean` and `PXEBooted` in line with the binding. Touches no machine. */
export function keepBooks(server: Server, { binding, now, installation, isManaged }: Ledger): void {
  const { metadata } = server;
  const others = (metadata.finalizers ?? []).filter((finalizer) => finalizer !== SERVER_FINALIZER);
  const isGoing = metadata.deletionTimestamp !== undefined && !binding;
  metadata.finalizers = isGoing ? others : [...others, SERVER_FINALIZER];
  if (installation !== undefined && server.spec?.accepted) keepFence(server, { installation, isBound: binding !== undefined });

  const wasInUse = server.status?.inUse === true;
  const before = server.status?.conditions ?? [];
  const conditions = booted(before, binding, now);
  const kept = wasInUse && !binding && !isManaged ? markUnmanaged(conditions, now) : conditions;
  // Disks count as dirty from the moment somebody may write to them.
  const isClean = server.spec?.accepted === true && !binding && server.status?.isClean === true;
  server.status = { ...server.status, inUse: binding !== undefined, isClean, ...(kept.length || before.length ? { conditions: kept } : {}) };
  if (binding) disown(server);
}

// A binding here, or a person, says that a server is ours although another installation had it.
function keepFence(server: Server, { installation, isBound }: { installation: string; isBound: boolean }): void {
  const fence = fenceOf(server, installation);
  if (fence === 'none') takeFence(server, installation);
  if (fence !== 'foreign' || !(isBound || isAdopted(server, installation))) return;
  takeFence(server, installation);
  // Used up: it must not also confirm another machine under this UUID.
  delete server.metadata.annotations?.[ADOPT_ANNOTATION];
  // It was asked for elsewhere, and may have been done there.
  delete server.metadata.annotations?.[REQUEST_ANNOTATION];
}

function booted(conditions: readonly Condition[], binding: ServerBinding | undefined, now: Date): Condition[] {
  if (!binding) return removeCondition(conditions, 'PXEBooted');
  return isTrue(binding.status?.conditions, 'TalosInstalled') ? markTrue(conditions, 'PXEBooted', now) : [...conditions];
}

function markUnmanaged(conditions: readonly Condition[], now: Date): Condition[] {
  const message = 'It was released, and nobody can switch its power: its old system may still run. Network-boot it by hand, or give it spec.bmc.';
  return markFalse(conditions, { type: 'PowerManagement', reason: 'Unmanaged', severity: 'Warning', message }, now);
}

// Older versions of the original made the ServerClass the owner; its deletion must not take a machine in use along.
function disown({ metadata }: Server): void {
  if (!metadata.ownerReferences) return;
  const kept = metadata.ownerReferences.filter(({ apiVersion, kind }) => !(kind === 'ServerClass' && apiVersion.startsWith('metal.sidero.dev/')));
  if (kept.length === 0) delete metadata.ownerReferences;
  else metadata.ownerReferences = kept;
}
