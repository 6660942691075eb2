import { conditionOf, heldByRecord, type PowerActionRecord, type Server } from '../../index.ts';
import { asAskedStep, asAskedUntil, LOOK, recordFor, switchStep, troubleOf } from './power-record.ts';
import {
  AGENT_PATIENCE_MS,
  ahead,
  EVIDENCE_MS,
  type Facts,
  HOLD_LOOK_MS,
  later,
  msUntil,
  rest,
  retryMs,
  type Step,
  timeOf,
  type Told,
} from './step.ts';
import { kept, unreadable } from './wanted-power.ts';

/** Row E: a dirty, free server is brought into the agent by a network boot, and wiped there. The first of these that says something counts. */
export function dirtyStep(facts: Facts): Step {
  return (
    keptOff(facts) ??
    stopped(facts) ??
    wiping(facts) ??
    leftAlone(facts) ??
    underWay(facts) ??
    waiting(facts) ??
    agentIsAwaited(facts) ??
    held(facts) ??
    agentIsThere(facts) ??
    networkBoot(facts)
  );
}

const ASK: Step = { deed: { kind: 'ask' }, told: undefined };

function keptOff(facts: Facts): Step | undefined {
  if (facts.wanted !== 'off' || facts.drivers.length === 0) return undefined;
  const told = kept(facts, { name: 'Dirty', reason: 'it is to be wiped', next: '', ready: false }, 'off');
  if (!facts.power) return LOOK;
  if (facts.power.state !== 'on') return troubleOf(facts) ?? rest(told, facts.powerPollMs);
  return switchStep(facts, { purpose: 'wanted', state: 'off', order: { action: 'off' }, told });
}

// A wipe that moves no byte, or fails again and again, needs a person; another power cycle would only hide it.
function stopped({ server }: Facts): Step | undefined {
  const why = heldByRecord(server);
  if (why === undefined) return undefined;
  const next = `put the disk right or keep it out, see status.wipe; then sidero wipe ${server.metadata.name}`;
  return rest({ name: 'WipeStopped', reason: why.replace(/; look at the machine.*$/, ''), next, ready: false });
}

function wiping({ server, now, rebootTimeoutMs }: Facts): Step | undefined {
  const sign = signOfWiping(server);
  const until = ahead(sign && later(sign, rebootTimeoutMs), { now, mostMs: rebootTimeoutMs });
  if (!until) return undefined;
  const told = { name: 'Wiping', reason: 'the agent wipes its disks', next: 'it is clean when the agent says so', ready: false };
  // Each heartbeat moves the deadline; to tell it each time would be a write each time.
  return rest(told, msUntil(until, now));
}

function leftAlone(facts: Facts): Step | undefined {
  const { server, drivers, wanted, power, powerPollMs } = facts;
  const dirty: Told = { name: 'Dirty', reason: 'it is to be wiped', next: '', ready: false };
  if (server.spec?.cordoned) {
    const told = { ...dirty, name: 'Cordoned', reason: 'it is cordoned: nothing new is begun on it', next: 'uncordon it to have it wiped' };
    return drivers.length > 0 && !power ? LOOK : (troubleOf(facts) ?? rest(told, drivers.length > 0 ? powerPollMs : undefined));
  }
  if (drivers.length === 0) {
    const next = 'network-boot it by hand; or give it spec.bmc with a login';
    return agentIsThere(facts) ?? rest({ ...dirty, name: 'NeedsHands', reason: 'it is to be wiped, and nobody can switch its power', next });
  }
  if (wanted === 'unreadable') return rest(unreadable(false), powerPollMs);
  if (wanted !== 'on') return undefined;
  if (!power) return LOOK;
  return power.state === 'on' ? rest(kept(facts, dirty, 'on'), powerPollMs) : undefined;
}

// A network boot was ordered, and the machine has not been seen since.
function underWay(facts: Facts): Step | undefined {
  const { now, power, sighting, server, drivers } = facts;
  const record = recordFor(facts, 'wipe');
  if (!record || (record.state !== 'begun' && record.state !== 'waiting')) return undefined;
  if (sighting) return { deed: { kind: 'settle', record: { ...record, state: 'done' } }, told: { ...booting(record), evidence: evidenceOf(facts) } };
  if (record.state === 'begun') {
    // We were restarted: whether the device was told is not known.
    if (!power) return LOOK;
    const trouble = drivers.length === 1 ? troubleOf(facts) : undefined;
    if (trouble) return trouble;
    if (power.state === 'off') return held(facts) ?? order(facts, { driver: record.driver ?? drivers[0]!, attempt: record.attempt ?? 1 });
  }
  const until = ahead(timeOf(record.until), { now, mostMs: facts.rebootTimeoutMs });
  if (until) return rest(booting(record), Math.min(30_000, msUntil(until, now)));
  return giveUp(facts, { record, windowEnd: later(cycledAt(server) ?? now, facts.rebootTimeoutMs) });
}

function giveUp({ drivers }: Facts, { record, windowEnd }: { record: PowerActionRecord; windowEnd: Date }): Step {
  const following = drivers[drivers.indexOf(record.driver ?? '') + 1];
  const problem = `${record.driver} was told to boot it from the network, and it was not seen on the network since`;
  const { until: _until, ...kept } = record;
  const failed = { ...kept, state: 'failed', problem, ...(following ? {} : { until: windowEnd.toISOString() }) };
  const then = following ? `${following} is tried` : `it is tried again at ${windowEnd.toISOString()}`;
  return {
    deed: { kind: 'settle', record: failed, remark: { type: 'Warning', message: `No network boot was seen: ${problem}; ${then}.` } },
    told: undefined,
  };
}

// After the last sign of life, and after a failure, nothing is done for a while.
function waiting(facts: Facts): Step | undefined {
  const { now, server, rebootTimeoutMs } = facts;
  const asked = asAskedUntil(facts);
  if (asked) return asAskedStep(facts, asked);
  const record = recordFor(facts, 'wipe');
  if (record?.state === 'failed' && !isRenewed(server, record)) {
    const until = ahead(timeOf(record.until), { now, mostMs: rebootTimeoutMs });
    if (!until) return undefined;
    const told = {
      name: 'PowerFailing',
      reason: record.problem ?? 'its power could not be switched',
      next: 'it is tried again then',
      until,
      ready: false,
    };
    return rest(told, msUntil(until, now));
  }
  const from = cycledAt(server);
  const until = ahead(from && later(from, rebootTimeoutMs), { now, mostMs: rebootTimeoutMs });
  if (!until) return undefined;
  return rest({ ...booting(record), until, evidence: evidenceOf(facts) }, msUntil(until, now));
}

function held({ wipe }: Facts): Step | undefined {
  if (!wipe) return ASK;
  if (!('hold' in wipe)) return undefined;
  const next = 'what holds it must end; that is looked at every minute';
  return rest({ name: 'Held', reason: `its wipe is held: ${wipe.hold}`, next, ready: false }, HOLD_LOOK_MS);
}

const AWAITING_AGENT = 'AwaitingAgent';

// Whether it may be wiped was asked when the wait began, and is asked again when the agent asks; every write of ours in between need not.
function agentIsAwaited(facts: Facts): Step | undefined {
  return facts.server.status?.step?.name === AWAITING_AGENT ? agentIsThere(facts) : undefined;
}

// An agent that waits for work is handed the wipe when it asks next; it needs no reboot.
function agentIsThere({ server, isAgentThere, now, rebootTimeoutMs }: Facts): Step | undefined {
  const name = AWAITING_AGENT;
  const { step } = server.status ?? {};
  const since = (step?.name === name && timeOf(step.since)) || now;
  const until = later(since, Math.min(AGENT_PATIENCE_MS, rebootTimeoutMs));
  if (!isAgentThere || until <= now) return undefined;
  return rest(
    { name, reason: 'its agent is running', next: 'the agent is handed the wipe when it asks next', until, ready: false },
    msUntil(until, now),
  );
}

function networkBoot(facts: Facts): Step {
  const { drivers, power } = facts;
  const record = recordFor(facts, 'wipe');
  if (!power) return LOOK;
  // With another driver to try, a device that does not answer need not be waited for.
  const trouble = drivers.length === 1 ? troubleOf(facts) : undefined;
  if (trouble) return trouble;
  const attempt = record?.attempt ?? 0;
  const following = record?.state === 'failed' && !record.until ? drivers[drivers.indexOf(record.driver ?? '') + 1] : undefined;
  return order(facts, following ? { driver: following, attempt } : { driver: drivers[0]!, attempt: attempt + 1 });
}

function order({ drivers, rebootTimeoutMs }: Facts, { driver, attempt }: { driver: string; attempt: number }): Step {
  const isLast = drivers.at(-1) === driver;
  const intent = {
    order: { action: 'network-boot', driver },
    purpose: 'wipe',
    attempt,
    evidenceMs: Math.min(EVIDENCE_MS, rebootTimeoutMs),
    retryMs: isLast ? retryMs(attempt, rebootTimeoutMs) : undefined,
  } as const;
  return { deed: { kind: 'act', intent }, told: booting({ driver, attempt }) };
}

function booting(record: PowerActionRecord | undefined): Told {
  const { driver, attempt = 1, until } = record ?? {};
  const by = driver ? `${driver} boots it` : 'it boots';
  const reason = `${by} from the network, to be wiped${attempt > 1 ? `; attempt ${attempt}` : ''}`;
  return { name: 'NetworkBooting', reason, next: 'the agent starts, and asks for the wipe', until: timeOf(until), ready: false };
}

function evidenceOf({ sighting }: Facts): string | undefined {
  return sighting && `seen on ${sighting.wire} at ${sighting.at.toISOString()}`;
}

const HEARTBEAT = 'Server wipe in progress.';

/** When it last showed that it is being wiped. */
function signOfWiping(server: Server): Date | undefined {
  const { wipe, conditions } = server.status ?? {};
  const isRunning = wipe?.state === 'handed' || wipe?.state === 'running';
  const cycle = conditionOf(conditions, 'PowerCycle');
  const heartbeat = cycle?.status === 'False' && cycle.message === HEARTBEAT ? cycle.lastTransitionTime : undefined;
  const signs = [...(isRunning ? [wipe.handedAt, wipe.seenAt, wipe.progressedAt] : []), heartbeat];
  return signs.map(timeOf).reduce((last, sign) => (sign && (!last || sign > last) ? sign : last), undefined);
}

/** When a power cycle for wiping was last begun, by anybody, or its machine last heard of. */
function cycledAt(server: Server): Date | undefined {
  const cycle = conditionOf(server.status?.conditions, 'PowerCycle');
  return cycle?.status === 'False' ? timeOf(cycle.lastTransitionTime) : undefined;
}

// The condition was written with a record that has failed since; a later one is a sign of life.
function isRenewed(server: Server, { since }: PowerActionRecord): boolean {
  const cycled = cycledAt(server);
  const begun = timeOf(since);
  return cycled !== undefined && begun !== undefined && cycled > begun;
}
