/** How far back a packet may come late, in packets. IPMI 2.0 (6.12.13) asks for 16 at least. */
const WIDTH = 32;

/** Whether a sequence number comes for the first time. Only for packets that have proven their origin: numbers far ahead are taken. */
export interface SequenceWindow {
  /** True once for each number that isn't too old; false for repetitions, and for 0, which no session uses. */
  accept(sequence: number): boolean;
}

export function sequenceWindow(): SequenceWindow {
  let highest = 0;
  // Bit n: `highest - n` was seen.
  let seen = 0;
  return {
    accept(sequence) {
      if (sequence === 0) return false;
      const ahead = sequence - highest;
      if (ahead > 0) {
        seen = ahead >= WIDTH ? 1 : ((seen << ahead) | 1) >>> 0;
        highest = sequence;
        return true;
      }
      const bit = -ahead < WIDTH ? (1 << -ahead) >>> 0 : 0;
      if (bit === 0 || (seen & bit) !== 0) return false;
      seen = (seen | bit) >>> 0;
      return true;
    },
  };
}
