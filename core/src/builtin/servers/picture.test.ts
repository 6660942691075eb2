import { describe, expect, test } from 'vitest';
import { conditionOf, failure, type PowerReading, type Server } from '../../index.ts';
import { isNewTrouble, paint } from './picture.ts';
import { type Facts, later, type Told } from './step.ts';

const now = new Date('2026-11-23T12:00:00.000Z');
const CLEAN: Told = { name: 'Clean', reason: 'it is wiped and free', next: 'it waits', ready: true };
const trouble = (kind: 'AUTH' | 'UNREACHABLE', problem = 'no reply') =>
  failure(`SIDERO_BMC_${kind}`, { server: 'x', driver: 'one', device: '10.0.0.7:623', problem });
const on: PowerReading = { state: 'on', driver: 'one', problem: undefined, at: now };
const unknown = (problem: ReturnType<typeof trouble>): PowerReading => ({ state: 'unknown', driver: undefined, problem, at: now });
const troubled = (problem: ReturnType<typeof trouble>): Told => ({ name: 'BmcTrouble', reason: problem.message, next: problem.next, ready: false });

function painted(server: Server, told: Told, facts: Partial<Facts> = {}): Server {
  const draft = structuredClone(server);
  paint(draft, { now, server, drivers: ['one'], isOurs: true, boundSince: undefined, power: on, ...facts } as Facts, told);
  return draft;
}
const blank = { metadata: { name: 'x' }, spec: { accepted: true } } as Server;
const management = (server: Server) => conditionOf(server.status?.conditions, 'PowerManagement');

describe('the step in the status', () => {
  test('tells since when, from the first time on', () => {
    const first = painted(blank, CLEAN);
    expect(first.status?.step).toEqual({ name: 'Clean', reason: CLEAN.reason, next: CLEAN.next, since: now.toISOString() });
    const again = painted(first, { ...CLEAN, reason: 'another' }, { now: later(now, 60_000) });
    expect(again.status?.step).toMatchObject({ reason: 'another', since: now.toISOString() });
    expect(painted(again, { ...CLEAN, name: 'InUse' }, { now: later(now, 60_000) }).status?.step?.since).toBe(later(now, 60_000).toISOString());
  });

  test('is the same a second later: a server at rest costs no write', () => {
    const first = painted(blank, CLEAN);
    expect(painted(first, CLEAN, { now: later(now, 1000) })).toEqual(first);
  });

  test('keeps the first evidence: a machine that shows itself each second costs no write each second', () => {
    const first = painted(blank, { ...CLEAN, evidence: 'seen on dhcp' });
    expect(painted(first, { ...CLEAN, evidence: 'seen on tftp' }).status?.step?.evidence).toBe('seen on dhcp');
    expect(painted(first, { ...CLEAN, name: 'InUse' }).status?.step).not.toHaveProperty('evidence');
  });
});

describe('power management', () => {
  test('is well while the power can be read', () => {
    const server = painted(blank, CLEAN);
    expect(server.status?.power).toBe('on');
    expect(management(server)).toMatchObject({ status: 'True' });
  });

  test('tells why not, with the next step', () => {
    const problem = trouble('AUTH');
    const server = painted(blank, troubled(problem), { power: unknown(problem) });
    expect(server.status).toMatchObject({ power: 'unknown', ready: false, step: { name: 'BmcTrouble', reason: problem.message } });
    expect(management(server)).toMatchObject({
      status: 'False',
      reason: 'AuthFailed',
      severity: 'Warning',
      message: `${problem.message} Next: ${problem.next}`,
    });
  });

  test('keeps the words of an outage, though each attempt has its own', () => {
    const [first, second] = [trouble('UNREACHABLE', 'not asked before 12:00'), trouble('UNREACHABLE', 'not asked before 12:05')];
    const server = painted(blank, troubled(first), { power: unknown(first) });
    expect(isNewTrouble(server, second)).toBe(false);
    expect(painted(server, troubled(second), { power: unknown(second), now: later(now, 300_000) })).toEqual(server);
    expect(isNewTrouble(server, trouble('AUTH'))).toBe(true);
  });

  test('that nobody has is unknown, and no condition', () => {
    const server = painted(painted(blank, CLEAN), CLEAN, { drivers: [], power: undefined });
    expect(server.status).toMatchObject({ power: 'unknown', conditions: [] });
  });

  test('of a server that is not looked at stays as it was', () => {
    const server = painted(painted(blank, CLEAN), CLEAN, { power: undefined });
    expect(server.status?.power).toBe('on');
  });
});
