const DECIMAL = /^\d+$/;

/**
 * Whether `left` is a later version than `right`. Resource versions of one kind are decimal numbers that only grow
 * (Kubernetes promises that since 1.35); they may be longer than a double holds. Anything else has no order: not newer.
 */
export function isNewer(left: string | undefined, right: string | undefined): boolean {
  if (left === undefined || right === undefined || !DECIMAL.test(left) || !DECIMAL.test(right)) return false;
  const [a, b] = [left.replace(/^0+(?=\d)/, ''), right.replace(/^0+(?=\d)/, '')];
  return a.length === b.length ? a > b : a.length > b.length;
}

/** The later of two; `left` when they have no order. */
export function newest(left: string | undefined, right: string | undefined): string | undefined {
  return left === undefined || isNewer(right, left) ? right : left;
}
