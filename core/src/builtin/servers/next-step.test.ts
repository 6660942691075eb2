import { describe, expect, test } from 'vitest';
import {
  failure,
  markFalse,
  markTrue,
  type PowerActionRecord,
  type PowerState,
  requestOf,
  REQUEST_ANNOTATION,
  type Server,
  type ServerStatus,
  type SideroError,
} from '../../index.ts';
import { nextStep } from './next-step.ts';
import { AGENT_PATIENCE_MS, EVIDENCE_MS, type Facts, later, RETRY_MS, type Step } from './step.ts';

const now = new Date('2026-11-23T12:00:00.000Z');
const T = 20 * 60_000;
const POLL = 5 * 60_000;
const ago = (ms: number) => later(now, -ms).toISOString();
const trouble = (kind: 'AUTH' | 'UNREACHABLE' | 'UNSUPPORTED' | 'BUSY' = 'UNREACHABLE') =>
  failure(`SIDERO_BMC_${kind}`, { server: 'x', driver: 'one', device: '10.0.0.7:623', problem: 'no reply' });
const power = (state: PowerState, problem?: SideroError) => ({ state, driver: problem || state === 'unknown' ? undefined : 'one', problem, at: now });
const cycling = { type: 'PowerCycle', reason: 'InProgress', severity: 'Info', message: 'cycled' } as const;
const PLAN = { method: 'insecure', disks: [] } as const;

interface Given extends Partial<Omit<Facts, 'server' | 'request'>> {
  readonly spec?: Partial<Server['spec'] & {}>;
  readonly status?: ServerStatus;
  readonly metadata?: Partial<Server['metadata']>;
  readonly request?: string;
  readonly action?: PowerActionRecord;
}

// A free server with one driver, that may be wiped; on, unless told otherwise.
function facts({ spec, status, metadata, request, action, ...more }: Given): Facts {
  const annotations = request === undefined ? {} : { annotations: { [REQUEST_ANNOTATION]: request } };
  const server = {
    metadata: { name: 'x', ...annotations, ...metadata },
    spec: { accepted: true, ...spec },
    status: { ...status, ...(action ? { powerAction: action } : {}) },
  } as Server;
  const base = {
    now,
    boundSince: undefined,
    isDoubtful: false,
    isOurs: true,
    drivers: ['one'],
    power: power('on'),
    wipe: PLAN,
    holder: 'nobody' as const,
    sighting: undefined,
    isAgentThere: false,
  };
  return { ...base, wanted: undefined, request: requestOf(server), rebootTimeoutMs: T, powerPollMs: POLL, server, ...more };
}
const step = (given: Given): Step => nextStep(facts(given));
const bound = { boundSince: later(now, -60_000) };
const clean = (more: ServerStatus = {}): Pick<Given, 'status'> => ({ status: { isClean: true, ...more } });
const intent = ({ deed }: Step) => (deed.kind === 'act' ? deed.intent : undefined);
const order = (given: Given) => intent(step(given))?.order;

/** What a step is, in one line: deed, name, seconds until the next look. */
function line(given: Given): string {
  const { deed, told, againMs } = step(given);
  const what = deed.kind === 'act' ? `${deed.intent.order.action} for ${deed.intent.purpose}` : deed.kind;
  return [what, told?.name, againMs === undefined ? undefined : `${Math.round(againMs / 1000)} s`].filter(Boolean).join(', ');
}

describe('row by row', () => {
  test.each<[string, Given, string]>([
    ['A: not accepted: not even its BMC is asked', { spec: { accepted: false }, power: undefined }, 'rest, AwaitingAcceptance'],
    ['A: not accepted, and bound', { spec: { accepted: false }, ...bound, power: undefined }, 'rest, AwaitingAcceptance'],
    ['D: in use, off, its MetalMachine gone: it may have been moved', { ...bound, isDoubtful: true, power: power('off') }, 'rest, Doubtful'],
    ['C: clean, free: its power is asked', { ...clean(), power: undefined }, 'look'],
    ['C: clean, free, off', { ...clean(), power: power('off') }, 'rest, Clean, 300 s'],
    ['C: clean, free, on', clean(), 'off for clean, PoweringOff'],
    ['C: clean, free, on: whether somebody holds it is asked first', { ...clean(), holder: undefined }, 'ask-holder'],
    ['C: clean, on, its ServerBinding lost', { ...clean(), holder: { why: 'MetalMachine default/m-1 has it' } }, 'rest, Held, 60 s'],
    ['C: clean, free, dead BMC', { ...clean(), power: power('unknown', trouble()) }, 'rest, BmcTrouble, 20 s'],
    ['C: clean, free, nobody manages it', { ...clean(), drivers: [], power: undefined }, 'rest, Clean'],
    ['C: clean, free, and no device can tell', { ...clean(), power: power('unknown', trouble('UNSUPPORTED')) }, 'rest, Clean, 300 s'],
    ['C: clean, free, on, cordoned', { ...clean(), spec: { cordoned: true } }, 'rest, Cordoned, 300 s'],
    ['D: in use: its power is asked', { ...bound, power: undefined }, 'look'],
    ['D: in use, on', bound, 'rest, InUse, 300 s'],
    ['D: in use, off', { ...bound, power: power('off') }, 'network-boot for allocation, PoweringOn'],
    ['D: in use, off, cordoned', { ...bound, power: power('off'), spec: { cordoned: true } }, 'network-boot for allocation, PoweringOn'],
    ['D: in use, dead BMC', { ...bound, power: power('unknown', trouble()) }, 'rest, BmcTrouble, 20 s'],
    ['D: in use, nobody manages it', { ...bound, drivers: [], power: undefined }, 'rest, InUse'],
    ['D: in use, no device can tell', { ...bound, power: power('unknown') }, 'network-boot for allocation, PoweringOn'],
    ['E: dirty, free: whether it may be wiped is asked first', { wipe: undefined, power: undefined }, 'ask'],
    ['E: dirty, free, held', { wipe: { hold: 'a plugin says so' }, power: undefined }, 'rest, Held, 60 s'],
    ['E: dirty, free: then its power', { power: undefined }, 'look'],
    ['E: dirty, free, on', {}, 'network-boot for wipe, NetworkBooting'],
    ['E: dirty, free, off', { power: power('off') }, 'network-boot for wipe, NetworkBooting'],
    ['E: dirty, free, dead BMC', { power: power('unknown', trouble()) }, 'rest, BmcTrouble, 20 s'],
    ['E: dirty, free, nobody manages it', { drivers: [], power: undefined, wipe: undefined }, 'rest, NeedsHands'],
    ['E: dirty, free, cordoned', { spec: { cordoned: true } }, 'rest, Cordoned, 300 s'],
    ['E: dirty, free, its agent is there', { isAgentThere: true, power: undefined }, 'rest, AwaitingAgent, 120 s'],
    [
      'deleted while in use: it waits for the ServerBinding',
      { ...bound, metadata: { deletionTimestamp: ago(0) }, power: power('off') },
      'rest, Deleting',
    ],
    ['another installation has it', { isOurs: false, power: undefined }, 'rest, Fenced'],
    ['another installation has it, clean and on', { isOurs: false, ...clean() }, 'rest, Fenced'],
  ])('%s', (_, given, expected) => {
    expect(line(given)).toBe(expected);
  });

  test('a machine in use is never cycled: its network boot is for the case that it is off', () => {
    expect(order({ ...bound, power: power('off') })).toEqual({ action: 'network-boot', onlyWhenOff: true });
    expect(order({ ...bound, power: power('unknown') })).toEqual({ action: 'network-boot', onlyWhenOff: true });
  });

  test('where no device can tell whether it is on, a machine in use is switched on once', () => {
    const done = { purpose: 'allocation', action: 'network-boot', state: 'done', since: ago(30_000) };
    expect(line({ ...bound, power: power('unknown'), action: done })).toBe('rest, InUse, 300 s');
  });

  test('ready is as the original has it', () => {
    const ready = (given: Given) => step(given).told?.ready;
    expect(ready({ ...clean(), power: power('off') })).toBe(true);
    expect(ready(bound)).toBe(true);
    expect([ready({}), ready({ spec: { accepted: false } }), ready({ ...clean(), power: power('unknown', trouble()) })]).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('the wipe of a free server', () => {
  const waiting = (since: number, more: PowerActionRecord = {}): PowerActionRecord => ({
    action: 'network-boot',
    purpose: 'wipe',
    driver: 'one',
    attempt: 1,
    state: 'waiting',
    since: ago(since),
    until: later(now, EVIDENCE_MS - since).toISOString(),
    ...more,
  });
  const cycled = (since: number, message = 'Server power cycled for wiping at …') => ({
    conditions: markFalse([], { type: 'PowerCycle', reason: 'InProgress', severity: 'Info', message }, later(now, -since)),
  });
  const seen = { sighting: { wire: 'dhcp', at: now } } as const;

  test('begins with the first driver, with five minutes for the machine to be seen', () => {
    expect(intent(step({ drivers: ['one', 'two'] }))).toEqual({
      order: { action: 'network-boot', driver: 'one' },
      purpose: 'wipe',
      attempt: 1,
      evidenceMs: EVIDENCE_MS,
      retryMs: undefined,
    });
    expect(intent(step({ rebootTimeoutMs: 30_000 }))).toMatchObject({ evidenceMs: 30_000, retryMs: RETRY_MS });
  });

  test('waits for the machine to be seen, and costs no look at the BMC', () => {
    expect(line({ action: waiting(60_000), status: cycled(60_000), power: undefined, wipe: undefined })).toBe('rest, NetworkBooting, 30 s');
  });

  test('is under way once the machine was seen', () => {
    const { deed, told } = step({ action: waiting(60_000), status: cycled(60_000), ...seen });
    expect(deed).toMatchObject({ kind: 'settle', record: { state: 'done', driver: 'one' } });
    expect(told?.evidence).toContain('seen on dhcp');
  });

  test('goes on with the next driver when the machine was not seen, and says which driver lied', () => {
    const { deed } = step({ drivers: ['one', 'two'], action: waiting(EVIDENCE_MS), status: cycled(EVIDENCE_MS) });
    expect(deed).toMatchObject({
      kind: 'settle',
      record: { state: 'failed' },
      remark: { type: 'Warning', message: expect.stringMatching(/one .* two is tried/) },
    });
    const failed = (deed as { record: PowerActionRecord }).record;
    expect(failed.until).toBeUndefined();
    expect(intent(step({ drivers: ['one', 'two'], action: failed, status: cycled(EVIDENCE_MS) }))).toMatchObject({
      order: { driver: 'two' },
      attempt: 1,
    });
  });

  test('waits for the reboot time-out once every driver was tried, and begins again with the first', () => {
    const last = { drivers: ['one', 'two'], action: waiting(EVIDENCE_MS, { driver: 'two' }), status: cycled(EVIDENCE_MS) };
    const failed = (step(last).deed as { record: PowerActionRecord }).record;
    expect(failed).toMatchObject({ state: 'failed', until: later(now, T - EVIDENCE_MS).toISOString() });
    expect(line({ ...last, action: failed })).toBe('rest, PowerFailing, 900 s');
    expect(intent(step({ ...last, action: { ...failed, until: ago(1) } }))).toMatchObject({ order: { driver: 'one' }, attempt: 2 });
  });

  test('is tried again after 20 s when the device refused, and then ever later', () => {
    expect(intent(step({}))?.retryMs).toBe(20_000);
    const failed = waiting(60_000, { state: 'failed', attempt: 3, until: ago(1), problem: 'it refuses' });
    expect(intent(step({ action: failed, status: cycled(60_000) }))).toMatchObject({ attempt: 4, retryMs: 160_000 });
    expect(line({ action: { ...failed, until: later(now, 5000).toISOString() }, status: cycled(60_000) })).toBe('rest, PowerFailing, 5 s');
  });

  test('a heartbeat after a failure counts: the machine is alive', () => {
    const failed = waiting(60_000, { state: 'failed', until: ago(1) });
    expect(line({ action: failed, status: cycled(20_000, 'Server wipe in progress.') })).toBe('rest, Wiping, 1180 s');
  });

  test('is left to the machine while it tells of it, and taken up again after the reboot time-out', () => {
    expect(line({ status: { wipe: { state: 'running', seenAt: ago(1000) } }, power: undefined })).toBe('rest, Wiping, 1199 s');
    expect(line({ status: { wipe: { state: 'handed', handedAt: ago(T - 1000) } }, power: undefined })).toBe('rest, Wiping, 1 s');
    expect(line({ status: { wipe: { state: 'running', seenAt: ago(T) } } })).toBe('network-boot for wipe, NetworkBooting');
  });

  test('a power cycle of the original, or before an upgrade, is given its time', () => {
    expect(line({ status: cycled(60_000), power: undefined, wipe: undefined })).toBe('rest, NetworkBooting, 1140 s');
    expect(line({ status: cycled(T) })).toBe('network-boot for wipe, NetworkBooting');
    expect(line({ status: { conditions: markTrue([], 'PowerCycle', now) } })).toBe('network-boot for wipe, NetworkBooting');
  });

  test.each([
    ['failed three times', { state: 'failed', attempt: 3, message: 'sda is read-only' }],
    ['stands still', { state: 'stalled', attempt: 1, message: 'nothing moved' }],
  ])('that %s stops, with a name, and no BMC is told anything', (_, wipe) => {
    const stopped = step({ status: { wipe }, power: undefined, wipe: undefined });
    expect(stopped).toMatchObject({ deed: { kind: 'rest' }, told: { name: 'WipeStopped', reason: expect.stringContaining(wipe.message) } });
    expect(stopped.told?.next).toContain('sidero wipe x');
  });

  test('that failed twice is tried again', () => {
    expect(line({ status: { wipe: { state: 'failed', attempt: 2 } } })).toBe('network-boot for wipe, NetworkBooting');
  });

  test('is left to an agent that is there, but not for ever', () => {
    const waited = { isAgentThere: true, status: { step: { name: 'AwaitingAgent', since: ago(AGENT_PATIENCE_MS) } } };
    expect(line(waited)).toBe('network-boot for wipe, NetworkBooting');
  });

  test('asks once for its leave while an agent is awaited', () => {
    const awaited = (sinceMs: number) => ({
      isAgentThere: true,
      wipe: undefined,
      power: undefined,
      status: { step: { name: 'AwaitingAgent', since: ago(sinceMs) } },
    });
    expect(line({ isAgentThere: true, wipe: undefined, power: undefined })).toBe('ask');
    expect(line(awaited(1000))).toBe('rest, AwaitingAgent, 119 s');
    expect(line(awaited(AGENT_PATIENCE_MS))).toBe('ask');
    expect(line({ ...awaited(1000), isAgentThere: false })).toBe('ask');
  });

  test('with a device that does not answer goes on to another driver', () => {
    const dead = { drivers: ['one', 'two'], power: power('unknown', trouble()) };
    expect(order(dead)).toMatchObject({ driver: 'one' });
    expect(order({ ...dead, action: waiting(1000, { state: 'failed', until: undefined as never }), status: cycled(1000) })).toMatchObject({
      driver: 'two',
    });
  });
});

describe('after a restart in the middle', () => {
  const begun = (more: PowerActionRecord): PowerActionRecord => ({
    attempt: 1,
    state: 'begun',
    since: ago(10_000),
    until: later(now, 100_000).toISOString(),
    ...more,
  });
  const wipe = begun({ action: 'network-boot', purpose: 'wipe', driver: 'one' });

  test('a network boot for wiping is looked at before it is repeated', () => {
    expect(line({ action: wipe, power: undefined })).toBe('look');
    expect(line({ action: wipe, power: power('on') })).toBe('rest, NetworkBooting, 30 s');
    expect(line({ action: wipe, power: power('on'), sighting: { wire: 'tftp', at: now } })).toBe('settle, NetworkBooting');
    expect(line({ action: wipe, power: power('off') })).toBe('network-boot for wipe, NetworkBooting');
    expect(line({ action: wipe, power: power('off'), wipe: undefined })).toBe('ask');
  });

  test('a server that was allocated meanwhile is not cycled', () => {
    expect(line({ ...bound, action: wipe, power: power('on') })).toBe('rest, InUse, 300 s');
  });

  test('what has its effect is done', () => {
    expect(step({ ...clean(), action: begun({ action: 'off', purpose: 'clean' }), power: power('off') }).deed).toMatchObject({
      kind: 'settle',
      record: { state: 'done' },
    });
    expect(step({ ...bound, action: begun({ action: 'network-boot', purpose: 'allocation' }) }).deed).toMatchObject({
      kind: 'settle',
      record: { state: 'done' },
    });
  });

  test('what has not is done again', () => {
    expect(intent(step({ ...clean(), action: begun({ action: 'off', purpose: 'clean' }) }))).toMatchObject({ order: { action: 'off' }, attempt: 2 });
  });

  test('a request is not done twice', () => {
    const cycle = begun({ action: 'cycle', purpose: 'request', request: 'power-cycle 1' });
    expect(step({ ...bound, action: cycle }).deed).toMatchObject({
      kind: 'settle',
      record: { state: 'failed', problem: expect.stringContaining('restarted') },
    });
    const off = begun({ action: 'off', purpose: 'request', request: 'power-off 1' });
    expect(step({ ...bound, action: off, power: power('off') }).deed).toMatchObject({ kind: 'settle', record: { state: 'done' } });
    expect(step({ ...bound, action: begun({ action: 'rotate', purpose: 'request', request: 'bmc-rotate 1' }) }).deed).toEqual({
      kind: 'rotate',
      request: 'bmc-rotate 1',
    });
  });
});

describe('what fails is spaced', () => {
  test('a switch that failed waits until its time', () => {
    const failed = {
      action: 'off',
      purpose: 'clean',
      attempt: 2,
      state: 'failed',
      since: ago(1000),
      until: later(now, 30_000).toISOString(),
      problem: 'it refuses',
    };
    expect(step({ ...clean(), action: failed })).toMatchObject({ told: { name: 'PoweringOff', reason: 'it refuses' }, againMs: 30_000 });
    expect(intent(step({ ...clean(), action: { ...failed, until: ago(1) } }))).toMatchObject({ attempt: 3, retryMs: 80_000 });
  });

  test('a state that flips back is not fought without pause', () => {
    const done = { action: 'off', purpose: 'clean', attempt: 1, state: 'done', since: ago(5000) };
    expect(line({ ...clean(), action: done })).toBe('rest, PoweringOff, 15 s');
    expect(intent(step({ ...clean(), action: { ...done, since: ago(T) } }))).toMatchObject({ attempt: 1 });
  });
});

describe('a clock that was a day ahead, and was put right', () => {
  const tomorrow = ago(-24 * 3600_000);
  const failed = { state: 'failed', since: tomorrow, until: tomorrow, problem: 'no reply', attempt: 1 };
  test.each<[what: string, given: Given, expected: string]>([
    ['a wipe that was seen then', { status: { wipe: { state: 'running', seenAt: tomorrow } } }, 'network-boot for wipe, NetworkBooting'],
    ['a power cycle', { status: { conditions: markFalse([], cycling, new Date(tomorrow)) } }, 'network-boot for wipe, NetworkBooting'],
    ['a network boot', { action: { purpose: 'wipe', state: 'waiting', driver: 'one', since: tomorrow, until: tomorrow } }, 'settle'],
    ['a failure to boot', { action: { purpose: 'wipe', action: 'network-boot', ...failed } }, 'network-boot for wipe, NetworkBooting'],
    ['a failure to switch', { ...clean(), action: { purpose: 'clean', action: 'off', ...failed } }, 'off for clean, PoweringOff'],
    ['a request', { ...clean(), action: { purpose: 'request', action: 'on', state: 'done', since: tomorrow } }, 'off for clean, PoweringOff'],
  ])('keeps nobody waiting for a day: %s', (_, given, expected) => expect(line(given)).toBe(expected));

  test('other replicas may be ahead by minutes: a machine that wipes is left alone', () => {
    expect(line({ status: { wipe: { state: 'running', seenAt: ago(-5 * 60_000) } } })).toMatch(/^rest, Wiping/);
  });
});

describe('the power state that a person wants kept', () => {
  test('names the command that ends it', () => {
    expect(step({ ...clean(), wanted: 'off', power: power('off') }).told?.next).toBe('sidero power auto x leaves it to Sidero again');
  });

  test.each<[string, Given, string]>([
    ['off: in use and on', { ...bound, wanted: 'off' }, 'off for wanted, PowerHeld'],
    ['off: in use and off: it is not switched on again', { ...bound, wanted: 'off', power: power('off') }, 'rest, PowerHeld, 300 s'],
    ['on: clean, free and on: it is not switched off', { ...clean(), wanted: 'on' }, 'rest, PowerHeld, 300 s'],
    ['on: clean, free and off', { ...clean(), wanted: 'on', power: power('off') }, 'on for wanted, PowerHeld'],
    ['off: dirty and on', { wanted: 'off' }, 'off for wanted, PowerHeld'],
    ['off: dirty and off: it is not wiped', { wanted: 'off', power: power('off') }, 'rest, PowerHeld, 300 s'],
    ['on: dirty and on: it is not cycled', { wanted: 'on' }, 'rest, PowerHeld, 300 s'],
    ['on: dirty and off: it boots into the wipe', { wanted: 'on', power: power('off') }, 'network-boot for wipe, NetworkBooting'],
    ['unreadable: nothing is touched', { ...clean(), wanted: 'unreadable' }, 'rest, PowerHeld, 300 s'],
    ['unreadable: nothing is touched, in use', { ...bound, wanted: 'unreadable', power: power('off') }, 'rest, PowerHeld, 300 s'],
    ['off: not accepted', { spec: { accepted: false }, wanted: 'off' }, 'rest, AwaitingAcceptance'],
    ['off: of another installation', { isOurs: false, wanted: 'off' }, 'rest, Fenced'],
  ])('%s', (_, given, expected) => {
    expect(line(given)).toBe(expected);
  });
});

describe('a request', () => {
  const answer = (given: Given) => {
    const { deed } = step(given);
    return deed.kind === 'answer' ? { state: deed.record.state, problem: deed.record.problem, effect: deed.effect } : deed.kind;
  };

  test.each([
    ['power-on', 'on'],
    ['power-off', 'off'],
    ['power-cycle', 'cycle'],
    ['power-soft', 'soft'],
  ])('%s is done, also to a server in use', (verb, action) => {
    expect(intent(step({ ...bound, request: `${verb} 1` }))).toMatchObject({ order: { action }, purpose: 'request', request: `${verb} 1` });
  });

  test('that was answered is taken off', () => {
    const action = { purpose: 'request', request: 'power-off 1', action: 'off', state: 'done', since: ago(10) };
    expect(step({ ...bound, request: 'power-off 1', action }).deed.kind).toBe('take-off-request');
  });

  test.each<[string, Given, RegExp]>([
    ['on a server that is not accepted', { spec: { accepted: false }, request: 'power-on 1' }, /not accepted/],
    ['on a server of another installation', { isOurs: false, request: 'wipe 1' }, /another installation/],
    ['on a server that is being deleted', { ...bound, metadata: { deletionTimestamp: ago(0) }, request: 'power-off 1' }, /deleted/],
    ['for what nobody knows', { request: 'explode 1' }, /explode/],
    ['for power that nobody manages', { drivers: [], request: 'power-on 1' }, /nobody manages/],
    ['to wipe a server in use', { ...bound, request: 'wipe 1' }, /in use/],
    ['to wipe a cordoned server', { spec: { cordoned: true }, request: 'wipe 1' }, /cordoned/],
    ['to wipe a server that is being wiped', { status: { wipe: { state: 'running' } }, request: 'wipe 1' }, /goes on/],
    ['for the plan of a wipe that is held', { wipe: { hold: 'a plugin says so' }, request: 'wipe-plan 1' }, /a plugin says so/],
  ])('%s is refused', (_, given, problem) => {
    expect(step(given).deed).toMatchObject({ kind: 'answer', record: { state: 'failed', problem: expect.stringMatching(problem) } });
  });

  test('to wipe begins anew, also for a clean server and for one whose wipe stopped', () => {
    expect(answer({ ...clean(), request: 'wipe 1' })).toEqual({ state: 'done', effect: 'forget-wipe' });
    expect(answer({ status: { wipe: { state: 'stalled' } }, request: 'wipe 1' })).toEqual({ state: 'done', effect: 'forget-wipe' });
    const abandoned = { wipe: { state: 'running', attempt: 3 } };
    expect(answer({ status: abandoned, request: 'wipe 1' })).toEqual({ state: 'done', effect: 'forget-wipe' });
  });

  test('to read the power reads it', () => {
    expect(step({ request: 'power-read 1', power: undefined }).deed.kind).toBe('look');
    expect(step({ request: 'power-read 1' }).deed).toMatchObject({ record: { action: 'read', state: 'done' } });
    expect(step({ request: 'power-read 1', power: power('unknown', trouble('AUTH')) }).deed).toMatchObject({ record: { state: 'failed' } });
  });

  test('to read the power does not write over what the loop goes on from', () => {
    const waiting = { purpose: 'wipe', state: 'waiting', driver: 'one', since: ago(1000), until: later(now, 1000).toISOString() };
    const asked = { request: 'power-read 1', action: waiting };
    expect(step(asked).deed).toEqual({ kind: 'settle', record: waiting });
    expect(line({ ...asked, status: { power: 'on' } })).toBe('take-off-request');
    expect(line({ ...asked, status: { power: 'on' }, action: { ...waiting, state: 'failed' } })).toBe('take-off-request');
    expect(line({ ...asked, power: power('unknown', trouble()) })).toBe('answer');
  });

  test('for the plan asks for it', () => {
    expect(step({ request: 'wipe-plan 1', wipe: undefined }).deed.kind).toBe('ask');
    expect(answer({ request: 'wipe-plan 1' })).toEqual({ state: 'done', effect: 'plan-wipe' });
  });

  test('to switch is not undone at once', () => {
    const done = (action: string, since = 1000) => ({ purpose: 'request', request: 'x', action, state: 'done', since: ago(since) });
    expect(line({ ...bound, power: power('off'), action: done('off') })).toBe('rest, AsAsked, 299 s');
    expect(line({ ...clean(), action: done('on') })).toBe('rest, AsAsked, 299 s');
    expect(line({ action: done('cycle') })).toBe('rest, AsAsked, 299 s');
    expect(line({ ...bound, power: power('off'), action: done('off', POLL) })).toBe('network-boot for allocation, PoweringOn');
  });
});
