import { isDeepStrictEqual } from 'node:util';
import {
  messageOf,
  plannedDisks,
  type PowerActionRecord,
  removeCondition,
  REQUEST_ANNOTATION,
  type ResourceClient,
  type Server,
  ServerKind,
} from '../../index.ts';
import { act, type Acting, hasSameGrounds, remark } from './act.ts';
import { sketchOf } from './books.ts';
import { isNewTrouble, paint } from './picture.ts';
import type { Deed, Facts, Step } from './step.ts';

/** What steps are taken with. */
export type Tools = Acting;

type Answer = Extract<Deed, { kind: 'answer' }>;

/** Does the one thing that a step names, and writes down where the server is. Gives when to look again. */
export async function takeStep(tools: Tools, facts: Facts, step: Step): Promise<{ readonly requeueAfterMs: number } | undefined> {
  const { resources } = tools;
  const { deed, told } = step;
  if (deed.kind === 'act') return act(tools, facts, { intent: deed.intent, told });
  await tellTrouble(tools, facts);
  if (deed.kind === 'rotate') return rotate(tools, facts, deed.request);
  const record = deed.kind === 'settle' || deed.kind === 'answer' ? deed.record : undefined;
  await write(resources, facts, (draft) => {
    paint(draft, facts, told);
    if (record) draft.status = { ...draft.status, powerAction: { ...record } };
    if (deed.kind === 'answer') giveEffect(draft, facts, deed.effect);
    if (deed.kind === 'take-off-request' && draft.metadata.annotations?.[REQUEST_ANNOTATION] === facts.request?.text)
      delete draft.metadata.annotations?.[REQUEST_ANNOTATION];
  });
  if (deed.kind === 'settle' && deed.remark) await remark(tools, facts.server, deed.remark);
  if (deed.kind === 'answer' && deed.record.problem)
    await remark(tools, facts.server, { type: 'Warning', message: `Request "${facts.request?.text}" was refused: ${deed.record.problem}.` });
  if (deed.kind !== 'rest') return { requeueAfterMs: 0 };
  return step.againMs === undefined ? undefined : { requeueAfterMs: step.againMs };
}

// The cache is compared first: a server at rest costs no call of the API.
async function write(resources: ResourceClient, { server }: Facts, edit: (draft: Server) => void): Promise<void> {
  const wanted = sketchOf(server);
  edit(wanted);
  if (!isDeepStrictEqual(wanted, server)) await resources.change(ServerKind, { name: server.metadata.name }, edit);
}

// Once per outage: a device that is dead for a week must not be an Event every 20 s.
async function tellTrouble(tools: Tools, { server, power }: Facts): Promise<void> {
  const problem = power?.problem;
  if (!problem || !isNewTrouble(server, problem)) return;
  const what = problem.code === 'SIDERO_BMC_LOGIN_MISSING' ? 'initialize management client' : 'determine power status';
  await remark(tools, server, { type: 'Warning', message: `Failed to ${what}: ${problem.message}` });
}

function giveEffect(draft: Server, { wipe }: Facts, effect: Answer['effect']): void {
  if (effect === 'forget-wipe') forgetWipe(draft);
  if (effect === 'plan-wipe' && wipe && !('hold' in wipe)) {
    const planned = { state: 'planned', method: wipe.method, disks: plannedDisks(draft, wipe) };
    draft.status = { ...draft.status, wipe: planned };
  }
}

// From the beginning: what was handed to a boot before is void too.
function forgetWipe(draft: Server): void {
  const { wipe: _wipe, boot, ...status } = draft.status ?? {};
  const { wipeHandedAt: _handed, ...kept } = boot ?? {};
  draft.status = { ...status, isClean: false, conditions: removeCondition(status.conditions, 'PowerCycle'), ...(boot ? { boot: kept } : {}) };
}

async function rotate(tools: Tools, facts: Facts, request: string): Promise<{ readonly requeueAfterMs: number }> {
  const { resources, power, signal, now } = tools;
  const { server } = facts;
  const begun: PowerActionRecord = { action: 'rotate', purpose: 'request', request, attempt: 1, since: now().toISOString(), state: 'begun' };
  const keep = (record: PowerActionRecord, mayKeep: (draft: Server) => boolean) =>
    resources.change(ServerKind, { name: server.metadata.name }, (draft) => {
      if (!mayKeep(draft)) return false;
      draft.status = { ...draft.status, powerAction: record };
    });
  const stored = await keep(begun, (draft) => hasSameGrounds(draft, server));
  if (stored.status?.powerAction?.since !== begun.since) return { requeueAfterMs: 0 };
  const end = (record: PowerActionRecord) => keep(record, () => true);
  try {
    const message = await power.rotate(server, signal);
    await end({ ...begun, state: 'done' });
    await remark(tools, server, { type: 'Normal', message });
  } catch (thrown) {
    signal.throwIfAborted();
    const problem = messageOf(thrown);
    await end({ ...begun, state: 'failed', problem });
    await remark(tools, server, { type: 'Warning', message: `Failed to change the password of the BMC: ${problem}` });
  }
  return { requeueAfterMs: 0 };
}
