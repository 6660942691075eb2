import { asAskedStep, asAskedUntil, LOOK, provenStep, switchStep, troubleOf } from './power-record.ts';
import { type Facts, HOLD_LOOK_MS, rest, type Step, type Told } from './step.ts';
import { kept, unreadable } from './wanted-power.ts';

const CLEAN: Told = { name: 'Clean', reason: 'it is wiped and free', next: 'it waits for a MetalMachine', ready: true };
const CORDONED = 'it is cordoned: nothing new is begun on it';

const ASK_HOLDER: Step = { deed: { kind: 'ask-holder' }, told: undefined };

/** A ServerBinding may be lost, or not have come yet after a move, while its machine runs. */
const heldTold = (why: string): Told => ({
  name: 'Held',
  reason: `it is clean, without a ServerBinding, and on: ${why}`,
  next: 'it stays on; what holds it is looked at every minute',
  ready: false,
});

/** Row C: a clean, free server is off, unless a person wants it otherwise. */
export function cleanStep(facts: Facts): Step {
  const { server, drivers, power, wanted, powerPollMs } = facts;
  const told = server.spec?.cordoned ? { ...CLEAN, name: 'Cordoned', reason: CORDONED, next: 'uncordon it to have it used' } : CLEAN;
  if (drivers.length === 0) return rest(told);
  if (!power) return LOOK;
  const trouble = troubleOf(facts);
  if (trouble) return trouble;
  if (wanted === 'unreadable') return rest(unreadable(true), powerPollMs);
  const state = wanted ?? 'off';
  const proven = provenStep(facts, ['clean', 'wanted'], state);
  if (proven) return proven;
  const isAsItShould = power.state === state || power.state === 'unknown';
  if (isAsItShould) return rest(wanted ? kept(facts, told, wanted) : told, powerPollMs);
  if (wanted) return switchStep(facts, { purpose: 'wanted', state, order: { action: state }, told: kept(facts, told, wanted) });
  if (server.spec?.cordoned) return rest(told, powerPollMs);
  const until = asAskedUntil(facts);
  if (until) return asAskedStep(facts, until);
  if (!facts.holder) return ASK_HOLDER;
  if (facts.holder !== 'nobody') return rest(heldTold(facts.holder.why), HOLD_LOOK_MS);
  const off: Told = { name: 'PoweringOff', reason: 'it is clean and free, and on', next: 'it is switched off', ready: false };
  return switchStep(facts, { purpose: 'clean', state, order: { action: 'off' }, told: off });
}
