import { createLogger, type PowerSession, SideroError } from '@sidero/core';
import { type BmcFaults, type IpmiBmc, MemoryChassis, startIpmiBmc } from '@sidero/testing/bmc';
import { describe, expect, test } from 'vitest';
import { ipmiDriver } from './driver.ts';
import { able, aServerAt, LOGIN } from './ipmi.fixture.ts';
import { CHASSIS_CONTROL, COMMAND, isCommand } from './protocol.ts';

const MACHINES = 24;
const often = 0.05;
const faults: BmcFaults = {
  lost: often,
  late: often,
  lateMs: [20, 200],
  duplicated: often,
  garbled: often,
  truncated: often,
  replayed: often,
  overtaken: often,
  sessionReset: often / 4,
};
const VERBS = ['on', 'isOn', 'cycle', 'isOn', 'off', 'isOn'] as const;

/** What one BMC behind a bad network made of all verbs; none may contradict its machine, or go on for ever. */
async function ordeal(seed: number, kind: string): Promise<readonly string[]> {
  const chassis = new MemoryChassis();
  await using bmc = await startIpmiBmc({ chassis, faults, seed });
  const options = { cipherSuites: [17, 3], privilege: 'administrator', timeoutMs: 40, retries: 4 } as const;
  const driver = ipmiDriver(options, { log: createLogger({ level: 'silent' }), dropped: () => undefined });
  const signal = AbortSignal.timeout(15_000);
  const problems: string[] = [];
  const isOk = async (run: () => Promise<void>): Promise<void> =>
    run().catch((thrown: unknown) => {
      problems.push(thrown instanceof SideroError ? thrown.code : String(thrown));
    });
  await isOk(async () => {
    await using session = await driver.open(aServerAt({ port: bmc.port, interface: kind }), { login: LOGIN, signal });
    for (const verb of VERBS) await isOk(() => tryVerb({ session, verb, bmc, chassis, signal }));
  });
  return problems;
}

interface Trial {
  readonly session: PowerSession;
  readonly verb: (typeof VERBS)[number];
  readonly bmc: IpmiBmc;
  readonly chassis: MemoryChassis;
  readonly signal: AbortSignal;
}

async function tryVerb({ session, verb, bmc, chassis, signal }: Trial): Promise<void> {
  const before = cyclesOf(bmc);
  try {
    const told = await able(session, verb)(signal);
    if (verb === 'isOn') expect(told).toBe(chassis.isOn());
  } finally {
    expect(cyclesOf(bmc) - before).toBeLessThanOrEqual(verb === 'cycle' ? 1 : 0);
  }
}

function cyclesOf(bmc: IpmiBmc): number {
  return bmc.commands.filter((command) => isCommand(command, COMMAND.chassisControl) && command.data[0] === CHASSIS_CONTROL.cycle).length;
}

describe('behind a network that loses, delays, repeats, reorders and changes packets', () => {
  test.each(['lanplus', 'lan'])('no state is wrong, no cycle comes twice, and every failure has its code: %s', { timeout: 60_000 }, async (kind) => {
    const problems: string[] = [];
    for (let first = 0; first < MACHINES; first += 12) {
      const group = Array.from({ length: 12 }, (_, index) => ordeal(first + index, kind));
      problems.push(...(await Promise.all(group)).flat());
    }
    expect(problems.filter((problem) => !/^SIDERO_BMC_(FAULT|UNREACHABLE|AUTH|UNSUPPORTED|BUSY)$/.test(problem))).toEqual([]);
    // Most is done all the same.
    expect(problems.length).toBeLessThan((MACHINES * VERBS.length) / 4);
  });
});
