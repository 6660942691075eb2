import type { Random } from '../random.ts';

/** From and to, in milliseconds. */
export type Span = readonly [fromMs: number, toMs: number];

/** How often each thing goes wrong: 0 is never, the default; 1 is always. */
export interface BmcFaults {
  /** It says that it cannot: a command about the chassis gets a completion code. */
  readonly refused?: number;
  /** It says yes to an order and does nothing. */
  readonly silent?: number;
  /** It says yes to an order and does it `slowMs` later. */
  readonly slow?: number;
  /** Default 1 to 11 s. */
  readonly slowMs?: Span;
  /** It does what is ordered, and is back where it was `flippedMs` later. */
  readonly flipped?: number;
  /** Default 0.5 to 5 s. */
  readonly flippedMs?: Span;
  /** It says "on" of a machine that is off, and "off" of one that is on. */
  readonly wrongState?: number;
  /** It keeps boot flags until they would matter. */
  readonly forgottenBoot?: number;
  /** It takes the right password for a wrong one. */
  readonly refusedLogin?: number;
  /** All its sessions are taken. */
  readonly full?: number;
  /** It has forgotten the session a command comes in. */
  readonly sessionReset?: number;

  /** A packet gets lost, on its way there or back. */
  readonly lost?: number;
  /** An answer comes `lateMs` later. */
  readonly late?: number;
  /** Default 0.5 to 3 s. */
  readonly lateMs?: Span;

  // What follows is of packets only: where there is a wire.
  readonly duplicated?: number;
  /** Some of its bits are others. */
  readonly garbled?: number;
  readonly truncated?: number;
  /** An earlier packet comes once more before it. */
  readonly replayed?: number;
  /** The next packet overtakes it. */
  readonly overtaken?: number;
}

/** What becomes of an order. */
export type OrderFate =
  | { readonly kind: 'refused' | 'silent' }
  | { readonly kind: 'done'; readonly afterMs: number /** Undefined: it stays done. */; readonly undoneAfterMs?: number };

const SLOW_MS: Span = [1000, 11_000];
const FLIPPED_MS: Span = [500, 5000];
const LATE_MS: Span = [500, 3000];

const within = ([fromMs, toMs]: Span, random: Random) => random.between(fromMs, toMs);

/** One throw of the dice: an order has one fate, and the shares of all add up. */
export function orderFate(faults: BmcFaults, random: Random): OrderFate {
  const { refused = 0, silent = 0, slow = 0, flipped = 0 } = faults;
  const thrown = random.fraction();
  if (thrown < refused) return { kind: 'refused' };
  if (thrown < refused + silent) return { kind: 'silent' };
  if (thrown < refused + silent + slow) return { kind: 'done', afterMs: within(faults.slowMs ?? SLOW_MS, random) };
  if (thrown < refused + silent + slow + flipped) {
    return { kind: 'done', afterMs: 0, undoneAfterMs: within(faults.flippedMs ?? FLIPPED_MS, random) };
  }
  return { kind: 'done', afterMs: 0 };
}

/** What becomes of a call where there are no packets. */
export interface CallFate {
  readonly isRequestLost: boolean;
  /** The order was carried out. */
  readonly isAnswerLost: boolean;
  readonly afterMs: number;
}

export function callFate({ lost = 0, late = 0, lateMs = LATE_MS }: BmcFaults, random: Random): CallFate {
  return { isRequestLost: random.chance(lost), isAnswerLost: random.chance(lost), afterMs: random.chance(late) ? within(lateMs, random) : 0 };
}

/** A packet as it arrives. */
export interface Delivery {
  readonly bytes: Uint8Array;
  readonly afterMs: number;
  /** Waits for the next packet, and goes after it. */
  readonly isOvertaken: boolean;
}

/** What becomes of a packet: nothing when it is lost, more than one when it is repeated. `earlier` are those that were sent before. */
export function deliveries(
  packet: Uint8Array,
  faults: BmcFaults,
  { random, earlier }: { random: Random; earlier: readonly Uint8Array[] },
): Delivery[] {
  const { lost = 0, late = 0, lateMs = LATE_MS, duplicated = 0, replayed = 0, overtaken = 0 } = faults;
  if (random.chance(lost)) return [];
  const bytes = damaged(packet, faults, random);
  const delivery = { bytes, afterMs: random.chance(late) ? within(lateMs, random) : 0, isOvertaken: random.chance(overtaken) };
  const again = random.chance(replayed) && earlier.length > 0 ? [{ bytes: random.pick(earlier), afterMs: 0, isOvertaken: false }] : [];
  return [...again, delivery, ...(random.chance(duplicated) ? [delivery] : [])];
}

function damaged(packet: Uint8Array, { garbled = 0, truncated = 0 }: BmcFaults, random: Random): Uint8Array {
  if (random.chance(truncated)) return packet.slice(0, random.between(0, packet.length - 1));
  if (!random.chance(garbled)) return packet;
  const bytes = packet.slice();
  const flipBit = () => (bytes[random.between(0, bytes.length - 1)]! ^= 1 << random.between(0, 7));
  for (let left = random.between(1, 4); left > 0; left--) flipBit();
  // A second one may have fallen on the first.
  if (Buffer.from(bytes).equals(packet)) flipBit();
  return bytes;
}
