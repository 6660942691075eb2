import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { type BmcFaults, deliveries, orderFate } from './faults.ts';

const packet = Uint8Array.from({ length: 40 }, (_, index) => index);
const random = () => seededRandom('test');
const sent = (faults: BmcFaults, earlier: readonly Uint8Array[] = []) => deliveries(packet, faults, { random: random(), earlier });

describe('a packet', () => {
  test('arrives as it is, once, at once, where nothing goes wrong', () => {
    expect(sent({})).toEqual([{ bytes: packet, afterMs: 0, isOvertaken: false }]);
  });

  test('does not arrive when it is lost', () => {
    expect(sent({ lost: 1 })).toEqual([]);
  });

  test('arrives twice when it is duplicated, and after an earlier one that is replayed', () => {
    expect(sent({ duplicated: 1 })).toHaveLength(2);
    const earlier = Uint8Array.of(7);
    expect(sent({ replayed: 1 }, [earlier]).map(({ bytes }) => bytes)).toEqual([earlier, packet]);
    expect(sent({ replayed: 1 })).toHaveLength(1);
  });

  test('is another one of the same length when it is garbled, and its beginning when it is truncated', () => {
    fc.assert(
      fc.property(fc.string(), (seed) => {
        const given = { random: seededRandom(seed), earlier: [] };
        const [garbled] = deliveries(packet, { garbled: 1 }, given);
        expect(garbled!.bytes).toHaveLength(packet.length);
        expect(garbled!.bytes).not.toEqual(packet);
        const [truncated] = deliveries(packet, { truncated: 1 }, given);
        expect(truncated!.bytes.length).toBeLessThan(packet.length);
        expect(truncated!.bytes).toEqual(packet.subarray(0, truncated!.bytes.length));
      }),
      // Where two flipped bits once fell on each other.
      { examples: [[':!']] },
    );
  });

  test('comes late within the span, or after the next', () => {
    const [late] = sent({ late: 1, lateMs: [20, 30] });
    expect(late!.afterMs).toBeGreaterThanOrEqual(20);
    expect(late!.afterMs).toBeLessThanOrEqual(30);
    expect(sent({ overtaken: 1 })[0]!.isOvertaken).toBe(true);
  });
});

describe('an order', () => {
  test('has each fate as often as it is said to, and only one', () => {
    const faults = { refused: 0.1, silent: 0.2, slow: 0.3, flipped: 0.2 };
    const dice = random();
    const counts = { refused: 0, silent: 0, slow: 0, flipped: 0, done: 0 };
    for (let order = 0; order < 10_000; order++) {
      const fate = orderFate(faults, dice);
      if (fate.kind !== 'done') counts[fate.kind]++;
      else if (fate.undoneAfterMs !== undefined) counts.flipped++;
      else if (fate.afterMs > 0) counts.slow++;
      else counts.done++;
    }
    for (const [fate, share] of Object.entries({ ...faults, done: 0.2 })) {
      expect(counts[fate as keyof typeof counts] / 10_000).toBeCloseTo(share, 1);
    }
  });

  test('has the same fates for the same seed', () => {
    const fates = () => {
      const dice = random();
      return Array.from({ length: 50 }, () => orderFate({ refused: 0.2, silent: 0.2, slow: 0.2, flipped: 0.2 }, dice));
    };
    expect(fates()).toEqual(fates());
  });
});
