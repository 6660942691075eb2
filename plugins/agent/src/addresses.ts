/** A NodeAddress: `type` is InternalIP, Hostname, … */
export interface NodeAddress {
  readonly type: string;
  readonly address: string;
}

/**
 * A Server's addresses after its machine told those it has: addresses of the types it told are replaced, others kept, in a stable
 * order. Nothing told, or the same sets as before: the very list that was there.
 */
export function mergeAddresses(known: readonly NodeAddress[], told: readonly NodeAddress[]): readonly NodeAddress[] {
  const types = new Set(told.map(({ type }) => type));
  const others = known.filter(({ type }) => !types.has(type));
  const before = keysOf(known.filter(({ type }) => types.has(type)));
  const after = keysOf(told);
  if (before.size === after.size && [...after.keys()].every((key) => before.has(key))) return known;
  return [...others, ...after.values()];
}

function keysOf(addresses: readonly NodeAddress[]): Map<string, NodeAddress> {
  return new Map(addresses.map(({ type, address }) => [`${type} ${address}`, { type, address }]));
}
