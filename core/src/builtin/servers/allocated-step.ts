import { asAskedStep, asAskedUntil, LOOK, provenStep, recordFor, switchStep, troubleOf } from './power-record.ts';
import { type Facts, rest, type Step, timeOf, type Told } from './step.ts';
import { kept, unreadable } from './wanted-power.ts';

const IN_USE: Told = { name: 'InUse', reason: 'a ServerBinding allocates it', next: 'nothing, while the ServerBinding exists', ready: true };

/** Row D: a server in use is on. One that is off boots from the network; one that is on is left alone, whatever it does. */
export function allocatedStep(facts: Facts): Step {
  const { drivers, power, wanted, powerPollMs } = facts;
  if (drivers.length === 0) return rest(IN_USE);
  if (!power) return LOOK;
  const trouble = troubleOf(facts);
  if (trouble) return trouble;
  if (wanted === 'unreadable') return rest(unreadable(power.state === 'on'), powerPollMs);
  const state = wanted ?? 'on';
  const proven = provenStep(facts, ['allocation', 'wanted'], state);
  if (proven) return proven;
  const isAsItShould = power.state === state || (power.state === 'unknown' && (state === 'off' || wasSwitchedOn(facts)));
  if (isAsItShould) return rest(wanted ? { ...kept(facts, IN_USE, wanted), ready: power.state !== 'off' } : IN_USE, powerPollMs);
  if (state === 'off') return switchStep(facts, { purpose: 'wanted', state, order: { action: 'off' }, told: kept(facts, IN_USE, state) });
  const until = asAskedUntil(facts);
  if (until) return asAskedStep(facts, until);
  const on: Told = { name: 'PoweringOn', reason: 'it is in use, and off', next: 'it is switched on, into a network boot', ready: false };
  return switchStep(facts, { purpose: 'allocation', state, order: { action: 'network-boot', onlyWhenOff: true }, told: on });
}

// Where no device can tell whether it is on, it is told once for each allocation.
function wasSwitchedOn(facts: Facts): boolean {
  const record = recordFor(facts, 'allocation');
  const since = timeOf(record?.since);
  return record?.state === 'done' && since !== undefined && facts.boundSince !== undefined && since >= facts.boundSince;
}
