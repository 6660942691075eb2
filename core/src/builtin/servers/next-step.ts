import { allocatedStep } from './allocated-step.ts';
import { cleanStep } from './clean-step.ts';
import { dirtyStep } from './dirty-step.ts';
import { refusal, requestStep } from './requests.ts';
import { type Facts, rest, type Step, type Told } from './step.ts';

/**
 * The one thing to do for a server now. Pure: what it needs to know and is not in the facts it asks for (`look`, `ask`), and is then
 * called again. Rows of the original's table, by its letters: A not accepted, C free and clean, D in use, E free and dirty.
 */
export function nextStep(facts: Facts): Step {
  const barred = barredBy(facts);
  if (barred) return refusal(facts, barred.why) ?? rest(barred.told);
  return requestStep(facts) ?? rowStep(facts);
}

const DOUBTFUL: Told = {
  name: 'Doubtful',
  reason: 'its ServerBinding names a MetalMachine that is gone: its cluster may have been moved, and may be using it',
  next: 'nothing is switched; the MetalMachine comes back, or somebody deletes the ServerBinding, which has it wiped',
  ready: false,
};

function rowStep(facts: Facts): Step {
  if (facts.boundSince) return facts.isDoubtful ? rest(DOUBTFUL) : allocatedStep(facts);
  return facts.server.status?.isClean ? cleanStep(facts) : dirtyStep(facts);
}

// Who may not act at all does not even talk to the BMC.
function barredBy({ server, isOurs, boundSince }: Facts): { why: string; told: Told } | undefined {
  if (server.metadata.deletionTimestamp) {
    const next = boundSince ? 'it goes when its ServerBinding is gone' : 'nothing is to be done';
    return { why: 'it is being deleted', told: { name: 'Deleting', reason: 'the Server is being deleted', next, ready: false } };
  }
  if (!server.spec?.accepted) {
    const next = 'set spec.accepted to true to have it wiped and used';
    return { why: 'it is not accepted', told: { name: 'AwaitingAcceptance', reason: 'nobody has accepted it yet', next, ready: false } };
  }
  if (isOurs) return undefined;
  const name = server.metadata.name;
  const reason = 'another installation of Sidero has fenced it, and may be using it';
  const told = {
    name: 'Fenced',
    reason,
    next: `sidero adopt ${name} when that installation is gone; a ServerBinding here also does it`,
    ready: false,
  };
  return { why: 'it belongs to another installation', told };
}
