/** A repeatable source of chance: one seed, one sequence, on every machine and in every version of Node. */
export interface Random {
  /** At least 0, below 1. */
  fraction(): number;
  /** A whole number, both ends included. */
  between(low: number, high: number): number;
  pick<T>(list: readonly T[]): T;
  bytes(length: number): Uint8Array;
  /** Lower-case hexadecimal digits. */
  hex(digits: number): string;
  /** True once in `1 / probability` calls. */
  chance(probability: number): boolean;
}

/** FNV-1a over UTF-16 units: seeds are short names, so spread matters and strength does not. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** Mulberry32: 32 bits of state, one multiplication chain a draw. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** @param seed Parts that together name what is drawn: `seededRandom('demo', 3, 'hardware')`. */
export function seededRandom(...seed: readonly (string | number)[]): Random {
  const draw = mulberry32(hash(seed.join('\u0000')));
  const fraction = () => draw() / 0x1_0000_0000;
  const between = (low: number, high: number) => low + Math.floor(fraction() * (high - low + 1));
  const bytes = (length: number) => {
    const words = Uint32Array.from({ length: Math.ceil(length / 4) }, draw);
    return new Uint8Array(words.buffer, 0, length);
  };
  return {
    fraction,
    between,
    pick: (list) => {
      if (list.length === 0) throw new RangeError('nothing to pick from');
      return list[between(0, list.length - 1)]!;
    },
    bytes,
    hex: (digits) =>
      Buffer.from(bytes(Math.ceil(digits / 2)))
        .toString('hex')
        .slice(0, digits),
    chance: (probability) => fraction() < probability,
  };
}
