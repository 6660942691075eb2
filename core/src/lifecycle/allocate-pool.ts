import type { Server } from '../resources/kinds.ts';
import { zoneOf } from './allocate-fitness.ts';

/** Which part of a pool is asked for. */
export interface WindowRequest {
  /** At most so many names. */
  readonly size: number;
  /** Only this failure domain. */
  readonly zone?: string | undefined;
  /** Names that are of no interest. */
  isLeftOut(name: string): boolean;
}

/** Where a member stands: fit, and in which zone, or why it is not. */
type Place = { readonly zone: string; readonly reason?: undefined } | { readonly reason: string; readonly zone?: undefined };

/**
 * The members of one class that may be given away now, and how many may not, by reason. It is kept by telling it of each change, so that
 * asking costs the same for ten Servers and for ten thousand.
 */
export class ServerPool {
  readonly #matches: (server: Server) => boolean;
  readonly #places = new Map<string, Place>();
  /** Names of the fit ones, sorted, by zone. */
  readonly #zones = new Map<string, string[]>();
  readonly #reasons = new Map<string, number>();
  /** A claim that looked at as many as it may and took none leaves off here; the next one goes on. */
  #from = '';
  #turn: Promise<unknown> = Promise.resolve();

  /** `matches` tells who is a member, fit or not. */
  constructor(matches: (server: Server) => boolean) {
    this.#matches = matches;
  }

  /** A Server is now so; `reason` is why it may not be given away. */
  put(server: Server, reason: string | undefined): void {
    const place = this.#matches(server) ? (reason === undefined ? { zone: zoneOf(server) } : { reason }) : undefined;
    const before = this.#places.get(server.metadata.name);
    if (before?.zone === place?.zone && before?.reason === place?.reason) return;
    this.drop(server.metadata.name);
    if (!place) return;
    this.#places.set(server.metadata.name, place);
    if (place.reason !== undefined) this.#count(place.reason, 1);
    else enter(this.#zones, place.zone, server.metadata.name);
  }

  /** A Server is gone. */
  drop(name: string): void {
    const place = this.#places.get(name);
    if (!place) return;
    this.#places.delete(name);
    if (place.reason !== undefined) this.#count(place.reason, -1);
    else leave(this.#zones, place.zone, name);
  }

  get size(): number {
    return this.#places.size;
  }

  /** Members that may not be given away, by reason, the most frequent first. */
  get unfit(): readonly (readonly [reason: string, count: number])[] {
    return [...this.#reasons].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  }

  /** How many may be given away; of one zone where one is named. */
  fit(zone?: string): number {
    if (zone !== undefined) return this.#zones.get(zone)?.length ?? 0;
    return [...this.#zones.values()].reduce((sum, names) => sum + names.length, 0);
  }

  /** Fit members, in the order of their names, as many from each zone: whoever spreads them needs a choice. */
  window({ size, zone, isLeftOut }: WindowRequest): readonly string[] {
    const lists = zone === undefined ? [...this.#zones.values()] : [this.#zones.get(zone) ?? []];
    const sources = lists.map((names) => this.#around(names, isLeftOut));
    const found: string[] = [];
    while (found.length < size) {
      const next = sources.flatMap((source) => source.next().value ?? []);
      if (next.length === 0) break;
      found.push(...next);
    }
    const isBehind = (name: string) => Number(name <= this.#from);
    return found.slice(0, size).toSorted((a, b) => isBehind(a) - isBehind(b) || (a < b ? -1 : 1));
  }

  /** The next window begins behind this name. */
  goOnBehind(name: string): void {
    this.#from = name;
  }

  /** Does `work` when the work given before has ended. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  *#around(names: readonly string[], isLeftOut: (name: string) => boolean): Generator<string, undefined> {
    const from = placeIn(names, this.#from);
    const start = names[from] === this.#from ? from + 1 : from;
    for (let index = 0; index < names.length; index++) {
      const name = names[(start + index) % names.length]!;
      if (!isLeftOut(name)) yield name;
    }
  }

  #count(reason: string, by: 1 | -1): void {
    const count = (this.#reasons.get(reason) ?? 0) + by;
    if (count === 0) this.#reasons.delete(reason);
    else this.#reasons.set(reason, count);
  }
}

function enter(zones: Map<string, string[]>, zone: string, name: string): void {
  const names = zones.get(zone) ?? [];
  names.splice(placeIn(names, name), 0, name);
  zones.set(zone, names);
}

function leave(zones: Map<string, string[]>, zone: string, name: string): void {
  const names = zones.get(zone) ?? [];
  names.splice(placeIn(names, name), 1);
  if (names.length === 0) zones.delete(zone);
}

/** Where a name stands in a sorted list, or would. */
function placeIn(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (names[middle]! < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
