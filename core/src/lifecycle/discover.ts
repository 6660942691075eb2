import { isDeepStrictEqual } from 'node:util';
import { failure, hasCode } from '../errors.ts';
import type { HardwareReport, ServerDraft, Verdict } from '../hooks.ts';
import { SERVER_FINALIZER, type Server, ServerKind } from '../resources/kinds.ts';
import { accept } from './accept.ts';
import { EARLIER_BOOT } from './admit.ts';
import { ADOPT_ANNOTATION, isMachineConfirmed } from './adoption.ts';
import type { StageContext } from './context.ts';
import type { BootPass, Registration } from './index.ts';
import { problemOfUuid } from './uuid.ts';

const COMPONENT = 'sidero-server';

/** Registers a machine: makes its Server, or brings the hardware of the one there is up to date. */
export async function discover(context: StageContext, report: HardwareReport, pass: BootPass): Promise<Registration> {
  const problem = problemOfUuid(report.uuid);
  if (problem) {
    context.stream({ type: 'refused', uuid: report.uuid, detail: problem, at: context.now() });
    throw failure('SIDERO_SERVER_UUID_INVALID', { uuid: report.uuid, problem });
  }
  // A Server that the cache does not know is most likely new; the API refuses to create it when it is not.
  const cached = await context.resources.get(ServerKind, { name: report.uuid });
  const known = cached && (await context.resources.get(ServerKind, { name: report.uuid }, { live: true }));
  if (known) {
    refuseEarlierBoot(known, report, pass);
    return refresh(context, { known, report, pass });
  }
  try {
    return await register(context, report, pass);
  } catch (thrown) {
    // Another replica, or the machine's own retry, was first.
    if (!hasCode(thrown, 'SIDERO_RESOURCE_EXISTS')) throw thrown;
    const first = await context.resources.get(ServerKind, { name: report.uuid }, { live: true });
    if (!first) throw thrown;
    return refresh(context, { known: first, report, pass });
  }
}

async function register(context: StageContext, report: HardwareReport, pass: BootPass): Promise<Registration> {
  const { hooks, resources, stream, now, log } = context;
  const blank: ServerDraft = { labels: {}, annotations: {}, spec: { accepted: false, hardware: report.hardware, hostname: report.hostname } };
  const draft = await hooks.discover.promise(blank, report);
  const wanted: Server = {
    apiVersion: ServerKind.apiVersion,
    kind: ServerKind.kind,
    metadata: { name: report.uuid, labels: { ...draft.labels }, annotations: { ...draft.annotations }, finalizers: [SERVER_FINALIZER] },
    spec: structuredClone(draft.spec),
  } as Server;
  const verdict = await accept(context, wanted);
  // Frozen by now, when taps are run in strict mode.
  const created = await resources.create(ServerKind, { ...wanted, spec: { ...draft.spec, accepted: verdict.accepted } });
  const server = await recordBoot(context, { server: created, pass, report });
  log.info({ server: report.uuid, address: report.address, accepted: verdict.accepted, reason: verdict.reason }, 'server registered');
  await recordVerdict(context, { server, verdict, what: 'Server auto-registered via API. ' });
  stream({ type: 'discovered', uuid: report.uuid, detail: report.hostname, at: now() });
  if (verdict.accepted) stream({ type: 'accepted', uuid: report.uuid, detail: verdict.reason, at: now() });
  return { server, created: true };
}

// An old cache may have admitted a boot that the API knows to be over; written down again, that would have the right to act once more.
// Not for a Server that the cache does not know at all: who gave out the token did not know it either, and could not write down the boot.
function refuseEarlierBoot({ status }: Server, report: HardwareReport, pass: BootPass): void {
  const { id } = status?.boot ?? {};
  if (!pass.proven || !id || id === pass.bootId) return;
  throw failure('SIDERO_BOOT_TOKEN_INVALID', { uuid: report.uuid, address: report.address, why: EARLIER_BOOT });
}

async function refresh(context: StageContext, given: { known: Server; report: HardwareReport; pass: BootPass }): Promise<Registration> {
  const { known, report, pass } = given;
  const { resources, stream, now } = context;
  const problem = conflictOf(known, report);
  if (problem && !(await isConfirmed(context, known))) {
    await resources.record(known, {
      type: 'Warning',
      reason: 'Server Registration',
      message: `A machine at ${report.address} was refused: ${problem}.`,
      component: COMPONENT,
    });
    stream({ type: 'refused', uuid: report.uuid, detail: problem, at: now() });
    throw failure('SIDERO_SERVER_DUPLICATE', { uuid: report.uuid, problem });
  }
  const verdict = await accept(context, known);
  // Not what was accepted before: a person may just have withdrawn that.
  const isNews = verdict.accepted && known.spec?.accepted !== true;
  const bringUpToDate = (draft: Server): void => {
    delete draft.metadata.annotations?.[ADOPT_ANNOTATION];
    draft.spec = { ...draft.spec, accepted: draft.spec?.accepted || isNews, hardware: structuredClone(report.hardware) };
    draft.spec.hostname ||= report.hostname;
  };
  // A machine that waits registers every half minute, nearly always with nothing new.
  const wanted = structuredClone(known);
  bringUpToDate(wanted);
  const changed = isDeepStrictEqual(wanted, known) ? known : await resources.change(ServerKind, { name: report.uuid }, bringUpToDate);
  const server = await recordBoot(context, { server: changed, pass, report });
  if (isNews) {
    await recordVerdict(context, { server, verdict, what: '' });
    stream({ type: 'accepted', uuid: report.uuid, detail: verdict.reason, at: now() });
  }
  return { server, created: false };
}

// Who stands before a server that nothing is done with wants to know whose word it waits for.
function recordVerdict({ resources }: StageContext, given: { server: Server; verdict: Verdict; what: string }): Promise<void> {
  const { server, verdict, what } = given;
  const message = `${what}${verdict.accepted ? 'Accepted' : 'Not accepted'}: ${verdict.reason.replace(/\.$/, '')}.`;
  return resources.record(server, { type: 'Normal', reason: 'Server Registration', message, component: COMPONENT });
}

// Who we are is asked for only when it matters.
async function isConfirmed({ installation }: StageContext, known: Server): Promise<boolean> {
  return known.metadata.annotations?.[ADOPT_ANNOTATION] !== undefined && isMachineConfirmed(known, await installation());
}

/** How old "seen" may get before it is written again: a thousand idle machines that ask every 30 s are not 33 writes a second. */
const SEEN_STALE_MS = 4 * 60_000;

/** Writes down which boot of a machine may act on its Server; keeps what is there when it is the same boot. */
async function recordBoot(context: StageContext, given: { server: Server; pass: BootPass; report: HardwareReport }): Promise<Server> {
  const { pass, report } = given;
  const now = context.now();
  const seenAt = `${now.toISOString().slice(0, 19)}Z`;
  const isFresh = (boot: { id?: string; seenAt?: string } | undefined) =>
    boot?.id === pass.bootId && now.getTime() - Date.parse(boot.seenAt ?? '') < SEEN_STALE_MS;
  if (isFresh(given.server.status?.boot)) return given.server;
  return context.resources.change(ServerKind, { name: given.server.metadata.name }, (draft) => {
    const known = draft.status?.boot;
    const boot = known?.id === pass.bootId ? known : { id: pass.bootId, address: report.address, mac: macAt(report), handedAt: seenAt };
    draft.status = { inUse: false, isClean: false, ...draft.status, boot: { ...boot, seenAt } };
  });
}

// The MAC address of the link that the report came over; empty when none has that address.
function macAt({ address, hardware }: HardwareReport): string {
  const link = hardware.network?.interfaces?.find(({ addresses }) => addresses?.some((known) => known.split('/')[0] === address));
  return link?.mac ?? '';
}

/** Why a report is not from the machine that a Server was made for: another serial number, or no MAC in common. */
function conflictOf(known: Server, report: HardwareReport): string | undefined {
  const before = known.spec?.hardware;
  if (!before) return undefined;
  const serials = [before.system?.serialNumber, report.hardware.system?.serialNumber];
  if (serials[0] && serials[1] && serials[0] !== serials[1]) return `it has serial number ${serials[1]}, the known machine ${serials[0]}`;
  const macs = new Set(before.network?.interfaces?.map(({ mac }) => mac).filter(Boolean));
  const reported = report.hardware.network?.interfaces?.map(({ mac }) => mac).filter(Boolean) ?? [];
  if (macs.size > 0 && reported.length > 0 && !reported.some((mac) => macs.has(mac))) return 'none of its MAC addresses is one of the known machine';
  return undefined;
}
