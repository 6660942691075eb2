import type { Claim, Rejection } from '../hooks.ts';
import type { ServerPool } from './allocate-pool.ts';

/** So many reasons are told, the most frequent first. */
const REASONS = 5;

/** What is known when nothing was found for a claim. */
export interface Search {
  readonly claim: Claim;
  readonly pool: ServerPool;
  /** Of those that would have fit. */
  readonly rejected: readonly Rejection[];
  /** Whether every Server that fits was looked at. */
  readonly isWhole: boolean;
}

/** Why a claim has no class to be served from; `name` is the one it names, if any. */
export function whyNoClass(name: string): string {
  return name === ''
    ? 'it names neither a Server nor a ServerClass'
    : `there is no ServerClass ${name}: make it, or correct the MetalMachine's reference`;
}

/** Why a class has no server for a claim, reasons with their counts: "of 15 servers in ServerClass large 12 are not clean, 3 cordoned". */
export function whyNone({ claim, pool, rejected, isWhole }: Search): string {
  const { serverClass, failureDomain } = claim;
  if (pool.size === 0) return `ServerClass ${serverClass} has no servers: none is as its qualifiers and selector say`;
  // What core found out by looking closer is among the unfit by now.
  const byPlugins = rejected.filter(({ plugin }) => plugin !== 'core');
  const far = failureDomain ? pool.fit() - pool.fit(failureDomain) : 0;
  const others = pool.fit() - far - byPlugins.length;
  const reasons = [
    ...pool.unfit.map(([reason, count]) => ({ reason, count })),
    ...grouped(byPlugins),
    { reason: `not in failure domain ${failureDomain}`, count: far },
    { reason: isWhole ? 'just being taken by others' : 'looked at next time', count: others },
  ].filter(({ count }) => count > 0);
  const told = reasons.slice(0, REASONS).map(({ reason, count }) => `${count} ${reason}`);
  const rest = reasons.length > REASONS ? [`and ${reasons.length - REASONS} reasons more`] : [];
  return `of ${pool.size} in ServerClass ${serverClass}: ${[...told, ...rest].join(', ')}`;
}

function grouped(rejected: readonly Rejection[]): readonly { readonly reason: string; readonly count: number }[] {
  const counts = new Map<string, number>();
  for (const { plugin, reason } of rejected) {
    const text = `${reason} (${plugin})`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => ({ reason, count })).toSorted((a, b) => b.count - a.count);
}
