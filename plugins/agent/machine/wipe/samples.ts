import type { BlockDevice } from './block-device.ts';

/** Enough to notice a device that ignores every hundredth request, cheap enough for any disk. */
const SAMPLES = 64;
const SAMPLE_BYTES = 4096;
export const MIB = 1024 * 1024;

/** A part of a disk, in bytes. */
export interface Range {
  readonly start: number;
  readonly length: number;
}

/** The first and the last MiB; one of them, or the whole disk, when it is small. */
export function endsOf({ sizeBytes }: Pick<BlockDevice, 'sizeBytes'>): readonly Range[] {
  if (sizeBytes < 2 * MIB) return [{ start: 0, length: sizeBytes }];
  return [
    { start: 0, length: MIB },
    { start: sizeBytes - MIB, length: MIB },
  ];
}

/** Where to look in a range: at its first and last place, and at places in between that follow from the seed, ascending. */
export function placesIn(
  { start, length }: Range,
  given: { readonly sampleBytes: number; readonly seed: number; readonly count?: number },
): readonly number[] {
  const { sampleBytes, seed, count = SAMPLES } = given;
  const slots = Math.floor(length / sampleBytes);
  if (slots === 0) return [];
  const random = randomFrom(seed);
  const inside = Array.from({ length: Math.max(0, Math.min(count, slots) - 2) }, () => Math.floor(random() * slots));
  return [...new Set([0, ...inside, slots - 1])].sort((a, b) => a - b).map((slot) => start + slot * sampleBytes);
}

/** How much is looked at in one place. */
export function sampleBytesOf({ sectorBytes, sizeBytes }: Pick<BlockDevice, 'sectorBytes' | 'sizeBytes'>): number {
  return sizeBytes < SAMPLE_BYTES ? sectorBytes : Math.max(SAMPLE_BYTES, sectorBytes);
}

/** Reads places back. The first that is not all zeros is given as well. */
export async function lookForData(
  device: BlockDevice,
  given: { readonly ranges: readonly Range[]; readonly seed: number; readonly signal: AbortSignal },
): Promise<{ readonly samples: number; readonly dataAt: number | undefined }> {
  const { ranges, seed, signal } = given;
  const sampleBytes = sampleBytesOf(device);
  let samples = 0;
  for (const place of ranges.flatMap((range) => placesIn(range, { sampleBytes, seed }))) {
    signal.throwIfAborted();
    if (!isUniform(await device.read(place, sampleBytes), 0)) return { samples, dataAt: place };
    samples += 1;
  }
  return { samples, dataAt: undefined };
}

/** What stands in places of a disk before its own erase, to be compared afterwards. */
export async function remember(device: BlockDevice, seed: number): Promise<ReadonlyMap<number, Uint8Array>> {
  const sampleBytes = sampleBytesOf(device);
  const found = new Map<number, Uint8Array>();
  for (const place of placesIn({ start: 0, length: device.sizeBytes }, { sampleBytes, seed }))
    found.set(place, await device.read(place, sampleBytes));
  return found;
}

/**
 * Whether places hold something else than before. A disk that forgets its key reads as noise, one that erases as zeros or ones: both are
 * good; what was data and is still there is not.
 */
export async function lookForRemains(
  device: BlockDevice,
  before: ReadonlyMap<number, Uint8Array>,
): Promise<{ readonly samples: number; readonly dataAt: number | undefined }> {
  let samples = 0;
  for (const [place, data] of before) {
    const now = await device.read(place, data.length);
    const isEmpty = isUniform(now, 0) || isUniform(now, 0xff);
    if (!isEmpty && Buffer.compare(now, data) === 0) return { samples, dataAt: place };
    samples += 1;
  }
  return { samples, dataAt: undefined };
}

function isUniform(data: Uint8Array, value: number): boolean {
  return data.every((byte) => byte === value);
}

// Mulberry32: places need to differ from wipe to wipe, not to be secret.
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
