import {
  FENCE_ANNOTATION,
  type Lifecycle,
  type Logger,
  markFalse,
  type Power,
  POWER_ANNOTATION,
  type PowerActionRecord,
  type PowerProof,
  REQUEST_ANNOTATION,
  type ResourceClient,
  type Server,
  ServerBindingKind,
  ServerKind,
  SideroError,
} from '../../index.ts';
import { isDeepStrictEqual } from 'node:util';
import { isInDoubt } from './facts.ts';
import { paint } from './picture.ts';
import { type Facts, type Intent, later, type Remark, type Told } from './step.ts';
import { Overtaken, type UnderWay } from './under-way.ts';

/** What an action is done with. */
export interface Acting {
  readonly resources: ResourceClient;
  readonly power: Pick<Power, 'act' | 'rotate'>;
  readonly lifecycle: Pick<Lifecycle, 'stream'>;
  readonly log: Logger;
  readonly now: () => Date;
  readonly signal: AbortSignal;
  readonly underWay: UnderWay;
}

interface Given {
  readonly intent: Intent;
  readonly told: Told | undefined;
}

/** A watch may be that late. */
const CACHE_LAG_MS = 2000;
const AT_ONCE = { requeueAfterMs: 0 };

/**
 * Switches the power: the intent is stored, under the version of the Server that was decided from; the API is asked once more whether a
 * ServerBinding came or went, or lost its MetalMachine; then it is done, and how it came out is stored. A crash in between leaves the record as begun.
 */
export async function act(tools: Acting, facts: Facts, given: Given): Promise<typeof AT_ONCE> {
  const { intent } = given;
  const begun = recordOf(facts, intent, tools.now());
  const server = await store(tools, facts, { ...given, begun });
  if (!server) return AT_ONCE;
  using running = tools.underWay.begin(server, intent.purpose);
  try {
    await refuseOvertaken(tools, facts);
    const proof = await tools.power.act(server, intent.order, AbortSignal.any([tools.signal, running.signal]));
    await succeeded(tools, { server, facts, begun, intent, proof });
  } catch (thrown) {
    // Whoever leads next finds it begun, and looks.
    tools.signal.throwIfAborted();
    if (thrown instanceof Overtaken) await conclude(tools, { server, record: overtaken(begun, thrown, tools.now()) });
    else if (isOfPower(thrown)) await failed(tools, { server, facts, begun, intent, problem: thrown });
    else throw thrown;
  }
  return AT_ONCE;
}

// What the device or its login did; anything else, the API above all, is tried again with a back-off.
function isOfPower(thrown: unknown): thrown is SideroError {
  return thrown instanceof SideroError && /^SIDERO_(BMC|POWER)_/.test(thrown.code);
}

/** Writes an Event about the power of a server, under the original's reason. */
export function remark({ resources }: Pick<Acting, 'resources'>, server: Server, { type, message }: Remark): Promise<void> {
  return resources.record(server, { type, reason: 'Server Management', message });
}

function recordOf({ now: decided }: Facts, { order, purpose, attempt, evidenceMs, request }: Intent, now: Date): PowerActionRecord {
  const since = now > decided ? now : decided;
  return {
    action: order.action,
    purpose,
    attempt,
    ...(order.driver === undefined ? {} : { driver: order.driver }),
    ...(request === undefined ? {} : { request }),
    ...(evidenceMs === undefined ? {} : { until: later(since, evidenceMs).toISOString() }),
    since: since.toISOString(),
    state: 'begun',
  };
}

// Undefined: the Server is not what the decision was made from any more.
async function store({ resources }: Acting, facts: Facts, { begun, told }: Given & { begun: PowerActionRecord }): Promise<Server | undefined> {
  let isSame = false;
  const stored = await resources.change(ServerKind, { name: facts.server.metadata.name }, (draft) => {
    isSame = hasSameGrounds(draft, facts.server);
    if (!isSame) return false;
    paint(draft, facts, told);
    draft.status = { ...draft.status, powerAction: begun };
    if (begun.purpose === 'wipe') markCycling(draft, new Date(begun.since!));
  });
  return isSame ? stored : undefined;
}

/** Whether a decision that was made from one still holds for the other. */
export function hasSameGrounds(one: Server, other: Server): boolean {
  return isDeepStrictEqual(groundsOf(one), groundsOf(other));
}

// All of a Server that a decision about its power rests on.
function groundsOf({ metadata, spec, status }: Server): unknown {
  const { annotations = {}, deletionTimestamp, uid } = metadata;
  const said = [FENCE_ANNOTATION, POWER_ANNOTATION, REQUEST_ANNOTATION].map((name) => annotations[name]);
  const { accepted, cordoned, bmc, managementApi } = spec ?? {};
  const { inUse, isClean, powerAction, wipe } = status ?? {};
  const wiping = [wipe?.state, wipe?.attempt];
  return { uid, said, deletionTimestamp, accepted, cordoned, bmc, managementApi, inUse, isClean, powerAction, wiping };
}

function markCycling(draft: Server, now: Date): void {
  const message = `Server power cycled for wiping at ${now.toISOString().slice(0, 19)}Z.`;
  const given = { type: 'PowerCycle', reason: 'InProgress', severity: 'Info', message } as const;
  draft.status = { ...draft.status, conditions: markFalse(draft.status?.conditions, given, now) };
}

// Asked of the API itself, in the last moment.
async function refuseOvertaken({ resources }: Acting, { server, boundSince, isDoubtful }: Facts): Promise<void> {
  const binding = await resources.get(ServerBindingKind, { name: server.metadata.name }, { live: true });
  const isBound = binding !== undefined;
  if (isBound !== (boundSince !== undefined)) throw new Overtaken(isBound ? 'it was allocated meanwhile' : 'it was released meanwhile');
  if (isInDoubt(binding) && !isDoubtful) throw new Overtaken('its MetalMachine has gone meanwhile');
}

// Looked at anew, but not at once: what overtook it may not have come to our cache yet.
function overtaken(begun: PowerActionRecord, { message }: Overtaken, now: Date): PowerActionRecord {
  return { ...begun, state: 'failed', problem: message, until: later(now, CACHE_LAG_MS).toISOString() };
}

interface Outcome {
  readonly server: Server;
  readonly facts: Facts;
  readonly begun: PowerActionRecord;
  readonly intent: Intent;
}

async function succeeded(tools: Acting, { server, facts, begun, intent, proof }: Outcome & { proof: PowerProof }): Promise<void> {
  const now = tools.now();
  const { driver, detail } = proof;
  const awaited = intent.evidenceMs === undefined ? {} : { until: later(now, intent.evidenceMs).toISOString() };
  const state = intent.evidenceMs === undefined ? 'done' : 'waiting';
  await conclude(tools, { server, record: { ...begun, ...awaited, driver, state }, state: stateAfter(intent.order.action) });
  for (const { problem } of proof.failed)
    await remark(tools, server, { type: 'Warning', message: `Failed to ${verbOf(intent, facts)}: ${problem.message}` });
  await remark(tools, server, { type: 'Normal', message: `${successOf(intent, facts)} Driver ${driver}: ${detail}.` });
  tools.lifecycle.stream({ type: 'power', uuid: server.metadata.name, driver, detail, at: now });
  tools.log.info({ server: server.metadata.name, driver, action: intent.order.action, purpose: intent.purpose, detail }, 'power switched');
}

async function failed(tools: Acting, { server, facts, begun, intent, problem }: Outcome & { problem: SideroError }): Promise<void> {
  const until = intent.retryMs === undefined ? undefined : later(tools.now(), intent.retryMs).toISOString();
  const { until: _until, ...rest } = begun;
  // The record is all that is left of it later: who reads it needs the next step too.
  const record = { ...rest, state: 'failed', problem: `${problem.message} Next: ${problem.next}`, ...(until === undefined ? {} : { until }) };
  await conclude(tools, { server, record });
  await remark(tools, server, { type: 'Warning', message: `Failed to ${verbOf(intent, facts)}: ${problem.message}` });
  const { action, driver } = intent.order;
  tools.log.warn({ server: server.metadata.name, driver, action, purpose: intent.purpose, code: problem.code }, problem.message);
}

interface Conclusion {
  readonly server: Server;
  readonly record: PowerActionRecord;
  readonly state?: 'on' | 'off' | undefined;
}

async function conclude({ resources }: Acting, { server, record, state }: Conclusion): Promise<void> {
  await resources.change(ServerKind, { name: server.metadata.name }, (draft) => {
    // Another Server of that name had nothing done to it.
    if (draft.metadata.uid !== server.metadata.uid) return false;
    draft.status = { ...draft.status, powerAction: record, ...(state ? { power: state } : {}) };
    return undefined;
  });
}

// What is known of the state once it is done; a soft shutdown takes as long as the operating system likes.
function stateAfter(action: Intent['order']['action']): 'on' | 'off' | undefined {
  if (action === 'soft') return undefined;
  return action === 'off' ? 'off' : 'on';
}

function verbOf({ order, purpose }: Intent, { power }: Facts): string {
  if (order.action === 'off') return 'power off';
  if (order.action === 'on' || purpose === 'allocation') return 'power on';
  if (order.action === 'soft') return 'shut down';
  return order.action === 'network-boot' && power?.state === 'off' ? 'power on' : 'power cycle';
}

// The original's texts, where it has one.
function successOf({ order, purpose, request }: Intent, { power }: Facts): string {
  const onRequest = request === undefined ? '' : ' on request';
  if (order.action === 'off') return `Server powered off${onRequest}.`;
  if (order.action === 'on') return `Server powered on${onRequest}.`;
  if (order.action === 'cycle') return `Server power cycled${onRequest}.`;
  if (order.action === 'soft') return `Server asked to shut down${onRequest}.`;
  if (purpose === 'allocation') return 'Server powered on and set PXE boot once into the environment.';
  return power?.state === 'on' ? 'Server power cycled and set to PXE boot once.' : 'Server powered on and set to PXE boot once.';
}
