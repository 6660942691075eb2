import { heldByRecord, type OperatorRequest, type PowerActionRecord, type RequestVerb } from '../../index.ts';
import { LOOK, troubleOf } from './power-record.ts';
import type { Deed, Facts, Intent, Step } from './step.ts';

type Answer = Extract<Deed, { kind: 'answer' }>;

/** What a person asked for, once. Undefined: nothing is open. */
export function requestStep(facts: Facts): Step | undefined {
  const { request, server } = facts;
  const record = server.status?.powerAction;
  if (record?.purpose === 'request' && record.state === 'begun') return interruptedStep(facts, record);
  if (!request) return undefined;
  if (record?.request === request.text) return { deed: { kind: 'take-off-request' }, told: undefined };
  if (!request.verb) return answer(facts, { request, problem: `"${request.text}" is no request that is known` });
  return verbStep(facts, request, request.verb);
}

/** The answer to a request about a server on which nothing may be done. */
export function refusal(facts: Facts, why: string): Step | undefined {
  const { request, server } = facts;
  const record = server.status?.powerAction;
  if (record?.purpose === 'request' && record.state === 'begun') return settled(record, why);
  if (!request) return undefined;
  if (record?.request === request.text) return { deed: { kind: 'take-off-request' }, told: undefined };
  return answer(facts, { request, problem: why });
}

const ACTIONS = { 'power-on': 'on', 'power-off': 'off', 'power-cycle': 'cycle', 'power-soft': 'soft' } as const;

function verbStep(facts: Facts, request: OperatorRequest, verb: RequestVerb): Step {
  if (verb === 'wipe') return answer(facts, { request, problem: whyNoWipe(facts), effect: 'forget-wipe' });
  if (verb === 'wipe-plan') return planStep(facts, request);
  if (facts.drivers.length === 0) return answer(facts, { request, problem: 'nobody manages its power: no driver claims it' });
  if (verb === 'bmc-rotate') return { deed: { kind: 'rotate', request: request.text }, told: undefined };
  if (verb === 'power-read') return readStep(facts, request);
  const intent: Intent = { order: { action: ACTIONS[verb] }, purpose: 'request', attempt: 1, request: request.text, retryMs: 0 };
  return { deed: { kind: 'act', intent }, told: undefined };
}

function readStep(facts: Facts, request: OperatorRequest): Step {
  const { power, server } = facts;
  if (!power) return LOOK;
  const { powerAction: record, power: told } = server.status ?? {};
  // Who looks every minute must not make the loop forget what it waits for, nor which driver is next: the power itself is answer enough.
  const isOpen = record && record.purpose !== 'request' && record.state !== 'done';
  if (!isOpen || power.problem) return answer(facts, { request, problem: power.problem?.message, action: 'read' });
  // It has to stand there first.
  return { deed: told === power.state ? { kind: 'take-off-request' } : { kind: 'settle', record }, told: undefined };
}

// A plan is a preview: it must not write over the record of a wipe that goes on.
function planStep(facts: Facts, request: OperatorRequest): Step {
  const { wipe } = facts;
  if (isWiping(facts)) return answer(facts, { request, problem: 'a wipe goes on; status.wipe tells of it' });
  if (!wipe) return { deed: { kind: 'ask' }, told: undefined };
  return 'hold' in wipe ? answer(facts, { request, problem: wipe.hold }) : answer(facts, { request, effect: 'plan-wipe' });
}

function whyNoWipe(facts: Facts): string | undefined {
  if (facts.boundSince) return 'it is in use: delete its ServerBinding first';
  if (facts.server.spec?.cordoned) return 'it is cordoned';
  return isWiping(facts) ? 'a wipe goes on' : undefined;
}

// What was given up says "running" for ever: only a request ends that.
function isWiping({ server }: Facts): boolean {
  const { isClean, wipe } = server.status ?? {};
  return !isClean && heldByRecord(server) === undefined && (wipe?.state === 'handed' || wipe?.state === 'running');
}

// We were restarted in the middle. Never twice: a person looks, and asks again.
function interruptedStep(facts: Facts, record: PowerActionRecord): Step {
  const { action, request = '' } = record;
  if (action === 'rotate') return { deed: { kind: 'rotate', request }, told: undefined };
  if (action !== 'on' && action !== 'off') return settled(record, 'Sidero was restarted meanwhile; whether it was done is not known');
  if (facts.drivers.length > 0 && !facts.power) return LOOK;
  if (facts.power?.state === action) return settled(record, undefined);
  const trouble = troubleOf(facts)?.told?.reason;
  return settled(record, trouble ?? `Sidero was restarted meanwhile, and its power is ${facts.power?.state ?? 'unknown'}`);
}

function settled(record: PowerActionRecord, problem: string | undefined): Step {
  const ended = problem === undefined ? { ...record, state: 'done' } : { ...record, state: 'failed', problem };
  return { deed: { kind: 'settle', record: ended }, told: undefined };
}

interface Answered {
  readonly request: OperatorRequest;
  readonly problem?: string | undefined;
  readonly action?: string;
  readonly effect?: Answer['effect'];
}

function answer({ now }: Facts, { request, problem, action, effect }: Answered): Step {
  const about = { purpose: 'request', request: request.text, since: now.toISOString(), ...(action ? { action } : {}) };
  if (problem !== undefined) return { deed: { kind: 'answer', record: { ...about, state: 'failed', problem } }, told: undefined };
  return { deed: { kind: 'answer', record: { ...about, state: 'done' }, ...(effect ? { effect } : {}) }, told: undefined };
}
