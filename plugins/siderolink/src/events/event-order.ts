/** What was last done because of an event: its id, and the boot it is of. */
export interface LastEvent {
  readonly id: string;
  readonly boot: string;
}

/**
 * Whether an event was there before `last` was: Talos tells all it remembers anew when its connection begins anew. An id (an xid) is the
 * second, the process, and a count; only when the second and the count both say so is it old: clocks of machines jump back, and counts of
 * other processes mean nothing. Ids of another form are only compared.
 */
export function isReplay(event: LastEvent, last: LastEvent | undefined): boolean {
  if (!last || event.boot !== last.boot) return false;
  if (event.id === last.id) return true;
  const [a, b] = [xidOf(event.id), xidOf(last.id)];
  if (!a || !b || a.process !== b.process) return false;
  return a.second <= b.second && isBefore(a.count, b.count);
}

/** The time that an id was made at, by the clock of the machine; undefined: it is of another form. */
export function secondOf(id: string): Date | undefined {
  const xid = xidOf(id);
  return xid && new Date(xid.second * 1000);
}

const COUNTS = 2 ** 24;

// Counts begin anywhere, and again at 0 after the highest.
function isBefore(a: number, b: number): boolean {
  const ahead = (b - a + COUNTS) % COUNTS;
  return ahead > 0 && ahead < COUNTS / 2;
}

const XID = /^[0-9a-v]{20}$/;

function xidOf(id: string): { readonly second: number; readonly process: string; readonly count: number } | undefined {
  if (!XID.test(id)) return undefined;
  // 20 characters of 5 bits: 12 bytes and 4 bits of nothing.
  const bits = Array.from(id).reduce((sum, character) => (sum << 5n) | BigInt(Number.parseInt(character, 32)), 0n) >> 4n;
  return { second: Number(bits >> 64n), process: ((bits >> 24n) & 0xff_ffff_ffffn).toString(16), count: Number(bits & 0xff_ffffn) };
}
