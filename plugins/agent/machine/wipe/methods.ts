import type { WipeMethod } from '@sidero/core';
import { obstacleTo, secureErase, securityOf } from './ata-security.ts';
import { type BlockDevice, isUnsupported } from './block-device.ts';
import {
  controllerAbilities,
  formatCommand,
  identifyController,
  identifyNamespace,
  sanitizeCommand,
  sanitizeLog,
  sanitizeState,
} from './nvme-commands.ts';
import { endsOf, lookForData, lookForRemains, MIB, type Range, remember } from './samples.ts';

/** One request to the device: large enough to keep it busy, small enough to see it move and to stop in time. */
const ZERO_CHUNK_BYTES = 64 * MIB;
const DISCARD_CHUNK_BYTES = 2048 * MIB;
const LOOK_AGAIN_MS = 2000;

/** One disk to be wiped. */
export interface Work {
  readonly device: BlockDevice;
  readonly partitions: readonly Range[];
  /** Other disks that a command to the controller of this one would wipe too, and that are to be kept. */
  readonly keptBeside: readonly string[];
  /** The namespace, of an NVMe disk. */
  readonly nsid: number | undefined;
  readonly seed: number;
  /** Bytes done in all. */
  readonly onDone: (bytes: number) => void;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** How a disk was wiped. */
export interface Wiped {
  /** Places read back and found empty. */
  readonly samples: number;
  /** Set when another method had to do it. */
  readonly instead?: { readonly method: WipeMethod; readonly reason: string };
}

/** Each method; throws an Error that says why it did not work. */
export const METHODS: Readonly<Record<WipeMethod, (work: Work) => Promise<Wiped>>> = {
  insecure,
  discard,
  zero,
  'nvme-sanitize': nvmeSanitize,
  'nvme-format': nvmeFormat,
  'ata-secure-erase': ataSecureErase,
};

/** Tells the device to forget, then makes zeros where partition tables and signatures of RAIDs and file systems lie. Fast, and no secret is safe from it. */
async function insecure(work: Work): Promise<Wiped> {
  const { device, partitions, onDone } = work;
  const all = await discardAll(work).catch((thrown: unknown) => {
    work.signal.throwIfAborted();
    // Many devices have nothing to discard with, and none has to obey.
    if (thrown instanceof Error) return 0;
    throw thrown;
  });
  const ends = endsOf(device);
  // What a partition holds comes back to life when the next table has one at the same place, and installers use the same places.
  const places = [...ends, ...partitions.flatMap((part) => endsOfPartition(part, device))];
  let written = 0;
  for (const place of places) written += await writeZeros(work, place);
  onDone(Math.min(device.sizeBytes, Math.max(all, written)));
  return { samples: await emptySamples(work, ends) };
}

// In whole sectors of the disk, and within it: tables can be older than the disk.
function endsOfPartition({ start, length }: Range, { sectorBytes, sizeBytes }: BlockDevice): readonly Range[] {
  const from = Math.floor(start / sectorBytes) * sectorBytes;
  const to = Math.min(sizeBytes, Math.ceil((start + length) / sectorBytes) * sectorBytes);
  return to <= from ? [] : endsOf({ sizeBytes: to - from }).map((end) => ({ start: from + end.start, length: end.length }));
}

/** Has the device forget all, and does it by zeros when it still shows data. */
async function discard(work: Work): Promise<Wiped> {
  const whole = wholeOf(work);
  try {
    await discardAll(work);
  } catch (thrown) {
    work.signal.throwIfAborted();
    if (!isUnsupported(thrown)) throw thrown;
    return { ...(await zero(work)), instead: { method: 'zero', reason: 'the disk cannot discard' } };
  }
  const { samples, dataAt } = await lookForData(work.device, { ranges: whole, seed: work.seed, signal: work.signal });
  if (dataAt === undefined) return { samples };
  return { ...(await zero(work)), instead: { method: 'zero', reason: `data could still be read at byte ${dataAt} after a discard` } };
}

/** Writes zeros everywhere. */
async function zero(work: Work): Promise<Wiped> {
  const { device, onDone, signal } = work;
  let canZeroOut = true;
  for (let start = 0; start < device.sizeBytes; start += ZERO_CHUNK_BYTES) {
    signal.throwIfAborted();
    const length = Math.min(ZERO_CHUNK_BYTES, device.sizeBytes - start);
    if (canZeroOut) canZeroOut = await zeroOut(device, { start, length });
    if (!canZeroOut) await writeZeros(work, { start, length });
    onDone(start + length);
  }
  return { samples: await emptySamples(work, wholeOf(work)) };
}

/** False when the kernel has no way for this device. */
async function zeroOut(device: BlockDevice, { start, length }: Range): Promise<boolean> {
  try {
    await device.zeroOut(start, length);
    return true;
  } catch (thrown) {
    if (isUnsupported(thrown)) return false;
    throw thrown;
  }
}

async function writeZeros({ device, signal }: Work, { start, length }: Range): Promise<number> {
  for (let at = 0; at < length; at += MIB) {
    signal.throwIfAborted();
    await device.writeZeros(start + at, Math.min(MIB, length - at));
  }
  return length;
}

async function discardAll({ device, onDone, signal }: Work): Promise<number> {
  for (let start = 0; start < device.sizeBytes; start += DISCARD_CHUNK_BYTES) {
    signal.throwIfAborted();
    const length = Math.min(DISCARD_CHUNK_BYTES, device.sizeBytes - start);
    await device.discard(start, length);
    onDone(start + length);
  }
  return device.sizeBytes;
}

/** The controller erases all its media, also what no address reaches any more. */
async function nvmeSanitize(work: Work): Promise<Wiped> {
  const { device, keptBeside } = work;
  if (work.nsid === undefined) throw new Error('it is no NVMe disk');
  if (keptBeside.length > 0) throw new Error(`a sanitize would also erase ${keptBeside.join(', ')}, which is to be kept`);
  const { sanitize } = controllerAbilities(await device.nvmeAdmin(identifyController));
  if (!sanitize) throw new Error('its controller cannot sanitize');
  // One that a power cut has interrupted goes on by itself, and nothing can be read meanwhile.
  await untilSanitized(work);
  return erasedByItself(work, async () => {
    await device.nvmeAdmin(sanitizeCommand(sanitize));
    if ((await untilSanitized(work)) === 'failed')
      throw new Error(`the sanitize (${sanitize}) failed; the controller takes nothing else until one succeeds`);
  });
}

async function untilSanitized({ device, onDone, pause, signal }: Work): Promise<'none' | 'done' | 'failed'> {
  for (;;) {
    const { state, share } = sanitizeState(await device.nvmeAdmin(sanitizeLog));
    if (state !== 'running') return state;
    onDone(Math.floor(device.sizeBytes * share));
    await pause(LOOK_AGAIN_MS, signal);
  }
}

/** The controller erases the user data of the namespace. It does not tell how far it is. */
async function nvmeFormat(work: Work): Promise<Wiped> {
  const { device, keptBeside, nsid } = work;
  if (nsid === undefined) throw new Error('it is no NVMe disk');
  const abilities = controllerAbilities(await device.nvmeAdmin(identifyController));
  if (!abilities.format) throw new Error('its controller cannot format');
  if (abilities.formatsAll && keptBeside.length > 0) throw new Error(`a format would also erase ${keptBeside.join(', ')}, which is to be kept`);
  const namespace = await device.nvmeAdmin(identifyNamespace(nsid));
  return erasedByItself(work, async () => void (await device.nvmeAdmin(formatCommand(nsid, namespace, abilities))));
}

/** The disk erases itself. How far it is follows from how long it said that it takes. */
async function ataSecureErase(work: Work): Promise<Wiped> {
  const { device, now, onDone, pause } = work;
  const security = await securityOf(device);
  const obstacle = obstacleTo(security);
  if (obstacle) throw new Error(obstacle);
  return erasedByItself(work, async () => {
    const over = new AbortController();
    const startedMs = now();
    const tell = async () => {
      while (security.eraseMs !== undefined && !over.signal.aborted) {
        onDone(Math.floor(device.sizeBytes * Math.min(0.99, (now() - startedMs) / security.eraseMs)));
        await pause(LOOK_AGAIN_MS, over.signal).catch(() => undefined);
      }
    };
    const telling = tell();
    try {
      await secureErase(device, security);
    } finally {
      over.abort();
      await telling;
    }
  });
}

/** What the disk does by itself is checked by what stood there before; then both ends are zeros, whatever the disk makes of the rest. */
async function erasedByItself(work: Work, erase: () => Promise<void>): Promise<Wiped> {
  const { device, seed, onDone, signal } = work;
  const before = await remember(device, seed);
  signal.throwIfAborted();
  await erase();
  const { samples, dataAt } = await lookForRemains(device, before);
  if (dataAt !== undefined) throw new Error(`it says that it was erased, and the old data is still there at byte ${dataAt}`);
  for (const end of endsOf(device)) await writeZeros(work, end);
  onDone(device.sizeBytes);
  return { samples: samples + (await emptySamples(work, endsOf(device))) };
}

async function emptySamples({ device, seed, signal }: Work, ranges: readonly Range[]): Promise<number> {
  await device.flush();
  const { samples, dataAt } = await lookForData(device, { ranges, seed, signal });
  if (dataAt !== undefined) throw new Error(`it took the zeros, and data can be read at byte ${dataAt}`);
  return samples;
}

function wholeOf({ device }: Work): readonly Range[] {
  return [{ start: 0, length: device.sizeBytes }];
}
