/** A token bucket per key; the least recently used keys are forgotten, which only ever refills them. */
export interface RateLimit {
  /** True when this one is within the limit. */
  take(key: string): boolean;
}

/** `perSecond` on average, `burst` at once, at most `keys` remembered. */
export function createRateLimit(given: { perSecond: number; burst: number; keys: number; now?: () => number }): RateLimit {
  const { perSecond, burst, keys, now = () => performance.now() } = given;
  const buckets = new Map<string, { left: number; atMs: number }>();
  return {
    take(key) {
      const atMs = now();
      const known = buckets.get(key);
      const left = known ? Math.min(burst, known.left + ((atMs - known.atMs) / 1000) * perSecond) : burst;
      buckets.delete(key);
      buckets.set(key, { left: left >= 1 ? left - 1 : left, atMs });
      if (buckets.size > keys) buckets.delete(buckets.keys().next().value!);
      return left >= 1;
    },
  };
}
