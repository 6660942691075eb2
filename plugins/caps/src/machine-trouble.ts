import {
  type Condition,
  conditionOf,
  type Logger,
  messageOf,
  removeCondition,
  type ResourceClient,
  type ServerBinding,
  ServerBindingKind,
  setCondition,
  type Severity,
} from '@sidero/core';
import { writeDifference } from './controllers/write-difference.ts';

/**
 * Conditions of a ServerBinding, and by way of it of its MetalMachine, that stand there only while a bound machine asks for something and is not
 * given it: what to boot, and its configuration. Where all goes well they are never written.
 */
export const TROUBLE_CONDITIONS = ['NetworkBootReady', 'TalosConfigServed'] as const;

export type TroubleCondition = (typeof TROUBLE_CONDITIONS)[number];

/** Why a machine is not given what it asks for. */
export interface Trouble {
  readonly type: TroubleCondition;
  /** One CamelCase word. */
  readonly reason: string;
  /** `Error`: a person has to act. */
  readonly severity: Severity;
  /** What is wrong, and what to do; no secret, and the same for the same trouble: each other text is a write. */
  readonly message: string;
}

/**
 * Says so on the ServerBinding, on any replica. A machine asks every few seconds: only what does not stand there yet is written. Never throws: what
 * could not be written is, when the machine asks again.
 */
export async function noteTrouble(
  { resources, log }: { readonly resources: ResourceClient; readonly log: Logger },
  uuid: string,
  trouble: Trouble,
): Promise<void> {
  const at = new Date();
  try {
    const binding = await resources.get(ServerBindingKind, { name: uuid });
    if (binding) await writeDifference(resources, ServerBindingKind, { object: binding, edit: (draft) => paintTrouble(draft, trouble, at) });
  } catch (thrown) {
    log.warn({ server: uuid, condition: trouble.type, problem: messageOf(thrown) }, 'a condition could not be written');
  }
}

/** The machine has got what it asked for. Costs nothing where nothing was wrong. @throws what `change` throws: then it is not to be given it, and asks again */
export async function endTrouble(resources: ResourceClient, binding: ServerBinding, types: readonly TroubleCondition[]): Promise<void> {
  if (!types.some((type) => conditionOf(binding.status?.conditions, type))) return;
  const edit = (draft: ServerBinding): void => {
    draft.status = { ...draft.status, conditions: withoutTrouble(draft.status?.conditions, types) };
  };
  await writeDifference(resources, ServerBindingKind, { object: binding, edit });
}

/** Conditions without those. */
export function withoutTrouble(conditions: readonly Condition[] = [], types: readonly TroubleCondition[] = TROUBLE_CONDITIONS): Condition[] {
  return types.reduce<Condition[]>((known, type) => removeCondition(known, type), [...conditions]);
}

function paintTrouble(draft: ServerBinding, trouble: Trouble, at: Date): void {
  draft.status = { ...draft.status, conditions: setCondition(draft.status?.conditions, { ...trouble, status: 'False' }, at) };
}
