import { failure, messageOf } from '../errors.ts';
import type { DiskOutcome, Hold, WipePlan } from '../hooks.ts';
import { markFalse, markTrue } from '../resources/conditions.ts';
import { type Server, type ServerBinding, ServerBindingKind, ServerKind, type WipeRecord } from '../resources/kinds.ts';
import type { StageContext } from './context.ts';
import { fenceOf, takeFence } from './fence.ts';
import type { BootPass } from './index.ts';
import {
  handedRecord,
  heldByRecord,
  isUnderway,
  lacking,
  progressed,
  savedSince,
  stalled,
  standsStill,
  WIPE_ATTEMPTS,
  withTold,
} from './wipe-record.ts';

const COMPONENT = 'sidero-server';
const FOREIGN = 'the Server belongs to another installation of Sidero';
/** What core begins with; a tap that wants another default replaces exactly this. */
const DEFAULT_PLAN: WipePlan = { method: 'insecure', disks: [] };

/** A Server and its binding as the API itself has them: one made a moment ago must be seen. */
interface Facts {
  readonly server: Server | undefined;
  readonly binding: ServerBinding | undefined;
}

async function liveFacts({ resources }: StageContext, name: string): Promise<Facts> {
  const [server, binding] = await Promise.all([
    resources.get(ServerKind, { name }, { live: true }),
    resources.get(ServerBindingKind, { name }, { live: true }),
  ]);
  return { server, binding };
}

/** What may be wiped on a Server now. Every doubt is a hold. */
export async function wipe(context: StageContext, server: Server): Promise<WipePlan | Hold> {
  return planFrom(context, await liveFacts(context, server.metadata.name));
}

/** Why a Server that looks free is somebody's all the same, its ServerBinding being lost or not there yet; undefined: it is nobody's. */
export async function whyHeld({ hooks }: StageContext, server: Server): Promise<string | undefined> {
  try {
    const plan = await hooks.wipe.promise(DEFAULT_PLAN, server);
    return 'hold' in plan ? plan.hold : undefined;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

async function planFrom({ hooks, installation }: StageContext, facts: Facts): Promise<WipePlan | Hold> {
  const hold = holdOf(facts);
  if (hold !== undefined) return { hold };
  try {
    if (fenceOf(facts.server!, await installation()) === 'foreign') return { hold: FOREIGN };
    return await hooks.wipe.promise(DEFAULT_PLAN, facts.server!);
  } catch (thrown) {
    return { hold: messageOf(thrown) };
  }
}

function holdOf({ server, binding }: Facts): string | undefined {
  if (!server) return 'the Server is gone';
  if (!server.spec?.accepted) return 'the Server is not accepted';
  if (binding) return `the Server is allocated to MetalMachine ${binding.spec?.metalMachineRef?.namespace}/${binding.spec?.metalMachineRef?.name}`;
  if (server.status?.isClean) return 'the Server is clean';
  return forbids(server) ?? heldByRecord(server);
}

function forbids({ metadata, spec }: Server): string | undefined {
  if (!spec?.accepted) return 'the Server is not accepted';
  if (spec.cordoned) return 'the Server is cordoned';
  return metadata.deletionTimestamp ? 'the Server is being deleted' : undefined;
}

/** Writes down that this boot was handed a wipe, and what it means for each disk; unless that was forbidden since it was planned. */
export async function wipeHanded(
  { resources, installation, metrics, now }: StageContext,
  pass: BootPass,
  order: { readonly plan: WipePlan; readonly isByDisk: boolean },
): Promise<Hold | undefined> {
  const us = await installation();
  let hold: string | undefined;
  await resources.change(ServerKind, { name: pass.uuid }, (draft) => {
    const boot = draft.status?.boot ?? { id: pass.bootId, handedAt: now().toISOString() };
    // Another boot that is written down meanwhile must ask for itself.
    const isOver = (boot.id ?? '') !== pass.bootId ? 'another boot of this machine has begun' : undefined;
    hold = forbids(draft) ?? (fenceOf(draft, us) === 'foreign' ? FOREIGN : isOver);
    if (hold !== undefined) return false;
    // From here on no other installation may act on it.
    if (fenceOf(draft, us) === 'none') takeFence(draft, us);
    const at = now().toISOString();
    const record = handedRecord(draft, { ...order, bootId: pass.bootId, at });
    draft.status = { ...draft.status, boot: { ...boot, wipeHandedAt: at }, wipe: record };
  });
  if (hold !== undefined) return { hold };
  count(metrics, 'handed');
  return undefined;
}

/** The machine wipes, and tells how far it is. Gives a hold when it has to stop. */
export async function wiping(context: StageContext, pass: BootPass, disks: readonly DiskOutcome[]): Promise<Hold | undefined> {
  const facts = await liveFacts(context, pass.uuid);
  if (!facts.server) throw failure('SIDERO_RESOURCE_MISSING', { kind: ServerKind.kind, name: pass.uuid });
  if (!wasHanded(facts.server, pass)) return { hold: 'this boot was not handed a wipe' };
  const hold = await unmeant(context, facts);
  if (hold !== undefined) {
    await stop(context, pass, { hold, disks });
    return { hold };
  }
  const { resources, site, stream, now } = context;
  const server = await resources.change(ServerKind, { name: pass.uuid }, (draft) => {
    if (!wasHanded(draft, pass) || draft.status?.isClean) return false;
    const given = { told: disks, now: now(), stallMs: site.rebootTimeoutMs };
    const record = draft.status?.wipe && progressed(draft.status.wipe, given);
    if (draft.status?.wipe && (!isUnderway(draft.status.wipe) || !record)) return false;
    draft.status = { ...draft.status, conditions: renewed(draft, now()), ...(record && { wipe: record }) };
  });
  stream({ type: 'wiping', uuid: pass.uuid, disks, at: now() });
  const record = server.status?.wipe;
  if (!record || isUnderway(record)) return undefined;
  if (record.state === 'stalled') await told(context, server, { result: 'stalled', message: `The wipe was stopped: ${record.message}.` });
  return { hold: `this wipe has ended: ${record.message ?? record.state}` };
}

// What was handed out a moment ago may have been forbidden since, or a disk of it saved.
async function unmeant(context: StageContext, facts: Facts): Promise<string | undefined> {
  const plan = await planFrom(context, facts);
  if ('hold' in plan) return plan.hold;
  const record = facts.server?.status?.wipe;
  return record && isUnderway(record) ? savedSince(record, plan) : undefined;
}

// A new transition time, so nobody power-cycles the machine meanwhile.
function renewed({ status }: Server, now: Date) {
  const others = (status?.conditions ?? []).filter(({ type }) => type !== 'PowerCycle');
  return markFalse(others, { type: 'PowerCycle', reason: 'InProgress', severity: 'Info', message: 'Server wipe in progress.' }, now);
}

/** Writes down that a wipe was called off. It does not count as an attempt: the machine did nothing wrong. */
async function stop({ resources, now }: StageContext, pass: BootPass, given: { hold: string; disks: readonly DiskOutcome[] }): Promise<void> {
  const { hold, disks } = given;
  await resources.change(ServerKind, { name: pass.uuid }, (draft) => {
    const record = draft.status?.wipe;
    if (!record || !isUnderway(record) || !wasHanded(draft, pass)) return false;
    const attempt = Math.max(0, (record.attempt ?? 1) - 1);
    draft.status = { ...draft.status, wipe: ended(record, { disks, at: now(), state: 'failed', message: `called off: ${hold}` }) };
    draft.status.wipe!.attempt = attempt;
  });
}

/** Marks a Server clean, when the very boot that was handed the wipe says so, with evidence for every disk, and nobody claimed the Server since. */
export async function wiped(context: StageContext, pass: BootPass, disks: readonly DiskOutcome[]): Promise<void> {
  const { resources, stream, now } = context;
  const facts = await liveFacts(context, pass.uuid);
  if (facts.binding) throw failure('SIDERO_WIPE_NOT_HANDED', { uuid: pass.uuid, why: 'it is allocated' });
  const plan = await planFrom(context, facts);
  let problems: readonly string[] = [];
  let isNews = true;
  const server = await resources.change(ServerKind, { name: pass.uuid }, (draft) => {
    refuseStrangers(draft, pass);
    const record = draft.status?.wipe;
    isNews = !(draft.status?.isClean && record?.state === 'done');
    if (!isNews) return false;
    problems = record?.disks ? lacking(record.disks, { told: disks, plan: 'hold' in plan ? DEFAULT_PLAN : plan }) : [];
    const message = problems.join('; ');
    const wipe = record && ended(record, { disks, at: now(), state: message === '' ? 'done' : 'failed', message });
    draft.status = { ...draft.status, ...(wipe && { wipe }) };
    if (problems.length > 0) return;
    draft.status = { ...draft.status, isClean: true, conditions: markTrue(draft.status.conditions, 'PowerCycle', now()) };
  });
  if (problems.length > 0) {
    const message = `Not marked clean: ${problems.join('; ')} (attempt ${server.status?.wipe?.attempt} of ${WIPE_ATTEMPTS}).`;
    await told(context, server, { result: 'failed', message });
    throw failure('SIDERO_WIPE_INCOMPLETE', { uuid: pass.uuid, problems });
  }
  // The machine asks again when it did not get the answer.
  if (!isNews) return;
  count(context.metrics, 'done');
  await resources.record(server, { type: 'Normal', reason: 'Server Wipe', message: 'Server wiped via agent.', component: COMPONENT });
  stream({ type: 'wiped', uuid: pass.uuid, detail: '', at: now() });
}

// Inside the edit, so that it holds for exactly what is written.
function refuseStrangers(draft: Server, pass: BootPass): void {
  const refused = (why: string) => failure('SIDERO_WIPE_NOT_HANDED', { uuid: pass.uuid, why });
  if (!wasHanded(draft, pass)) throw refused('this boot was not handed a wipe');
  if (!draft.spec?.accepted) throw refused('it is not accepted');
  const { state, message = state } = draft.status?.wipe ?? {};
  if (state === 'done' && !draft.status?.isClean) throw refused('it was used since that wipe');
  if (state === 'failed' || state === 'stalled' || state === 'refused') throw refused(`its wipe had ended before: ${message}`);
}

/** The wipe failed on the machine. */
export async function wipeFailed(context: StageContext, pass: BootPass, given: { message: string; disks: readonly DiskOutcome[] }): Promise<void> {
  const { resources, site, now } = context;
  const { message, disks } = given;
  let isNews = false;
  const server = await resources.change(ServerKind, { name: pass.uuid }, (draft) => {
    const record = draft.status?.wipe;
    isNews = isUnderway(record) && wasHanded(draft, pass);
    if (!record || !wasHanded(draft, pass) || record.state === 'done') return false;
    // It was stopped or found standing still before: what is new is only how far each disk got.
    if (!isNews) draft.status = { ...draft.status, wipe: { ...record, ...(record.disks && { disks: withTold(record.disks, disks) }) } };
    else draft.status = { ...draft.status, wipe: failedRecord(record, { message, disks, now: now(), stallMs: site.rebootTimeoutMs }) };
  });
  if (!isNews) return;
  const { state, attempt } = server.status!.wipe!;
  const text = `The wipe ${state === 'stalled' ? 'was stopped' : `failed (attempt ${attempt} of ${WIPE_ATTEMPTS})`}: ${message}.`;
  await told(context, server, { result: state === 'stalled' ? 'stalled' : 'failed', message: text });
}

/** The machine cannot do what is planned: only a person can change that, so it is not asked again and again. */
export async function wipeRefused(context: StageContext, pass: BootPass, message: string): Promise<void> {
  const { resources, now } = context;
  let isNews = false;
  const server = await resources.change(ServerKind, { name: pass.uuid }, (draft) => {
    const known = draft.status?.wipe;
    isNews = !draft.status?.isClean && !(known?.state === 'refused' && known.message === message);
    if (!isNews) return false;
    draft.status = { ...draft.status, wipe: { state: 'refused', attempt: known?.attempt ?? 0, message, endedAt: now().toISOString() } };
  });
  if (isNews) await told(context, server, { result: 'refused', message: `Nothing is wiped: ${message}.` });
}

function failedRecord(
  record: WipeRecord,
  given: { readonly message: string; readonly disks: readonly DiskOutcome[]; readonly now: Date; readonly stallMs: number },
): WipeRecord {
  const { message, disks, now, stallMs } = given;
  const at = now.toISOString();
  // A machine that aborts because nothing moves must not be told to begin again.
  if (standsStill(record, { now, stallMs })) return stalled({ ...record, seenAt: at }, { disks: withTold(record.disks, disks), at, stallMs });
  return ended(record, { disks, at: now, state: 'failed', message });
}

function ended(record: WipeRecord, given: { disks: readonly DiskOutcome[]; at: Date; state: 'done' | 'failed'; message: string }): WipeRecord {
  const { disks, state, message } = given;
  const at = given.at.toISOString();
  const { message: _before, ...rest } = record;
  return { ...rest, state, seenAt: at, endedAt: at, ...(message && { message }), ...(record.disks && { disks: withTold(record.disks, disks) }) };
}

function wasHanded(server: Server | undefined, pass: BootPass): boolean {
  const boot = server?.status?.boot;
  return Boolean(boot?.wipeHandedAt) && boot?.id === pass.bootId;
}

async function told({ resources, metrics, log }: StageContext, server: Server, given: { result: string; message: string }): Promise<void> {
  count(metrics, given.result);
  log.warn({ server: server.metadata.name, problem: given.message }, 'wipe did not succeed');
  await resources.record(server, { type: 'Warning', reason: 'Server Wipe', message: given.message, component: COMPONENT });
}

function count(metrics: StageContext['metrics'], result: string): void {
  metrics.counter('sidero_wipes_total', 'Wipes handed to machines, and how they ended.', ['result'])({ result });
}
