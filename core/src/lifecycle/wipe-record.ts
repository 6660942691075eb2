import type { DiskOutcome, WipePlan } from '../hooks.ts';
import type { DiskRecord, Server, WipeRecord } from '../resources/kinds.ts';
import { isSameDisk, orderFor } from './disk-rules.ts';

/** How often a wipe is handed out before a person has to look at the machine. */
export const WIPE_ATTEMPTS = 3;

/** Progress is written at most this often; a disk that begins or ends is written at once. */
const WRITE_INTERVAL_MS = 2000;

/** Why the last wipe forbids another; undefined when it does not. */
export function heldByRecord({ metadata: { name }, status }: Server): string | undefined {
  const { state, attempt = 0, message = '' } = status?.wipe ?? {};
  const why = message === '' ? '' : ` (${message})`;
  const next = `; look at the machine, then: sidero wipe ${name}`;
  if (state === 'stalled') return `the last wipe stalled${why}${next}`;
  if (state === 'refused') return `the wipe was not begun${why}; change the plan or what the machine boots, then: sidero wipe ${name}`;
  if (attempt < WIPE_ATTEMPTS) return undefined;
  if (state === 'failed') return `the wipe failed ${attempt} times${why}${next}`;
  const isAbandoned = isUnderway(status?.wipe) && !status?.boot?.wipeHandedAt;
  return isAbandoned ? `the wipe was begun ${attempt} times and never ended${next}` : undefined;
}

/** Whether it was handed out and has not ended. */
export function isUnderway(record: WipeRecord | undefined): boolean {
  return record?.state === 'handed' || record?.state === 'running';
}

/** The record of a wipe as it is handed out. Without disks when the machine will tell nothing of single ones. */
export function handedRecord(
  server: Server,
  given: { readonly plan: WipePlan; readonly bootId: string; readonly isByDisk: boolean; readonly at: string },
): WipeRecord {
  const { plan, bootId, isByDisk, at } = given;
  const { wipe: before, boot } = server.status ?? {};
  // The same boot again: it never got the answer.
  const isSame = isUnderway(before) && boot?.id === bootId && Boolean(boot.wipeHandedAt);
  const attempt = before?.state === 'done' ? 1 : (before?.attempt ?? 0) + (isSame ? 0 : 1);
  const record: WipeRecord = { state: 'handed', attempt, method: plan.method, handedAt: at, progressedAt: at };
  return isByDisk ? { ...record, disks: plannedDisks(server, plan) } : record;
}

/** What a plan means for the disks that the machine reported. */
export function plannedDisks({ spec }: Server, plan: WipePlan): DiskRecord[] {
  return (spec?.hardware?.storage?.devices ?? []).map(({ deviceName, serialNumber, wwid, size }) => {
    const { method, reason } = orderFor(plan, { deviceName, serial: serialNumber, wwn: wwid });
    const names = { deviceName: deviceName ?? '', serial: serialNumber ?? '', wwn: wwid ?? '' };
    return withoutEmpty({ ...names, method, reason, state: method === 'keep' ? 'kept' : 'pending', sizeBytes: size ?? 0, doneBytes: 0 });
  });
}

/** What is known, with what the machine tells laid over it, disk by disk. */
export function withTold(known: readonly DiskRecord[] | undefined, told: readonly DiskOutcome[]): DiskRecord[] {
  const { pairs, extra } = paired(known ?? [], told);
  return [...pairs.map(([before, after]) => withoutEmpty({ ...before, ...withoutEmpty(after ?? {}) })), ...extra.map(withoutEmpty)];
}

/** What keeps a server from counting as clean, a clause a disk; none when every disk is done, or kept as planned. */
export function lacking(known: readonly DiskRecord[], given: { readonly told: readonly DiskOutcome[]; readonly plan: WipePlan }): readonly string[] {
  const { pairs, extra } = paired(known, given.told);
  const problems = pairs.map(([planned, told]) => {
    // A disk that was to be kept and is gone is nobody's dirt.
    if (!told) return planned.state === 'kept' ? undefined : `${nameOf(planned)} is missing`;
    return problemOf(told, planned.state === 'kept');
  });
  const others = extra.map((told) => problemOf(told, orderFor(given.plan, told).method === 'keep'));
  return [...problems, ...others].filter((problem) => problem !== undefined);
}

function problemOf(told: DiskOutcome, mayBeKept: boolean): string | undefined {
  if (told.state === 'done') return mayBeKept ? `${nameOf(told)} was wiped, although it was to be kept` : undefined;
  if (told.state === 'kept') return mayBeKept ? undefined : `${nameOf(told)} was kept, which is not planned`;
  return `${nameOf(told)} is ${told.state === 'failed' ? 'failed' : 'not done'}${told.problem ? `: ${told.problem}` : ''}`;
}

/** The record after the machine has told how far it is; undefined when there is no need to write it. */
export function progressed(
  record: WipeRecord,
  given: { readonly told: readonly DiskOutcome[]; readonly now: Date; readonly stallMs: number },
): WipeRecord | undefined {
  const { told, now, stallMs } = given;
  const at = now.toISOString();
  const disks = record.disks && withTold(record.disks, told);
  const isFirst = record.state !== 'running';
  const hasTurned = isFirst || statesOf(record.disks) !== statesOf(disks);
  const hasMoved = hasTurned || doneBytes(disks) !== doneBytes(record.disks);
  const sinceProgressMs = now.getTime() - Date.parse(record.progressedAt ?? at);
  // Only a machine that tells of its disks can be seen to stand still.
  if (!hasMoved && told.length > 0 && sinceProgressMs >= stallMs) return stalled({ ...record, seenAt: at }, { disks: disks ?? [], at, stallMs });
  if (!hasTurned && now.getTime() - Date.parse(record.seenAt ?? '') < WRITE_INTERVAL_MS) return undefined;
  const progressedAt = hasMoved ? at : (record.progressedAt ?? at);
  return { ...record, state: 'running', seenAt: at, progressedAt, ...(disks && { disks }) };
}

/** The record of a wipe that stood still. */
export function stalled(record: WipeRecord, given: { readonly disks: DiskRecord[]; readonly at: string; readonly stallMs: number }): WipeRecord {
  const { disks, at, stallMs } = given;
  const standing = disks.filter(({ state }) => state === 'running' || state === 'pending').map(nameOf);
  const where = standing.length > 0 ? ` on ${standing.slice(0, 4).join(', ')}${standing.length > 4 ? ' and others' : ''}` : '';
  return { ...record, state: 'stalled', disks, endedAt: at, message: `nothing moved for ${Math.round(stallMs / 1000)} s${where}` };
}

/** Why a wipe that is under way is not meant any more: a disk that it has not finished is to be kept now. */
export function savedSince({ disks = [] }: WipeRecord, plan: WipePlan): string | undefined {
  const saved = disks.find((disk) => disk.state !== 'kept' && disk.state !== 'done' && orderFor(plan, disk).method === 'keep');
  return saved && `${nameOf(saved)} is to be kept now`;
}

/** Whether nothing has moved for that long, as far as the machine told. */
export function standsStill(record: WipeRecord, given: { readonly now: Date; readonly stallMs: number }): boolean {
  return record.disks !== undefined && given.now.getTime() - Date.parse(record.progressedAt ?? '') >= given.stallMs;
}

// Each disk of one list with the same disk of the other, and what is left of the other. Two of one name are two.
function paired(known: readonly DiskRecord[], told: readonly DiskOutcome[]) {
  const extra = [...told];
  const pairs = known.map((disk) => {
    const at = extra.findIndex((other) => isSameDisk(disk, other));
    return [disk, at < 0 ? undefined : extra.splice(at, 1)[0]] as const;
  });
  return { pairs, extra };
}

function nameOf({ deviceName, serial }: DiskOutcome): string {
  return [deviceName || 'a disk', serial && `(${serial})`].filter(Boolean).join(' ');
}

function statesOf(disks: readonly DiskRecord[] | undefined): string {
  return (disks ?? []).map(({ deviceName, state }) => `${deviceName}=${state}`).join();
}

function doneBytes(disks: readonly DiskRecord[] | undefined): number {
  return (disks ?? []).reduce((total, disk) => total + (disk.doneBytes ?? 0), 0);
}

function withoutEmpty(disk: DiskRecord): DiskRecord {
  return Object.fromEntries(Object.entries(disk).filter(([, value]) => value !== '' && value !== undefined)) as DiskRecord;
}
