import { isTaken, refusal } from './answers.ts';
import type { ServiceClient } from './client.ts';
import { ActionInfo, ComputerSystem } from './documents.ts';

/** What a system can be told to do with its power. */
export interface ResetAction {
  readonly path: string;
  /** ResetType values that it takes; undefined when it does not say. */
  readonly types: readonly string[] | undefined;
}

/** The ResetTypes that do what a verb wants, the best first. */
const TYPES = {
  on: ['On', 'ForceOn'],
  off: ['ForceOff'],
  soft: ['GracefulShutdown'],
  cycle: ['PowerCycle', 'ForceRestart'],
} as const;

/** What every service has had since the first version, for those that do not say what they take. */
const USUAL = ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart'];

/** A verb of power. */
export type ResetVerb = keyof typeof TYPES;

/** The Reset action of a system; undefined when it has none. */
export async function resetActionOf(
  client: ServiceClient,
  { path, document }: { readonly path: string; readonly document: ComputerSystem },
  signal: AbortSignal,
): Promise<ResetAction | undefined> {
  const action = document.Actions?.['#ComputerSystem.Reset'];
  if (!action) return undefined;
  const at = action.target ?? `${path.replace(/\/$/, '')}/Actions/ComputerSystem.Reset`;
  const listed = action['ResetType@Redfish.AllowableValues'];
  if (listed || action['@Redfish.ActionInfo'] === undefined) return { path: at, types: listed };
  const { document: told } = await client.get(action['@Redfish.ActionInfo'], ActionInfo, signal);
  return { path: at, types: told.Parameters?.find(({ Name }) => Name === 'ResetType')?.AllowableValues };
}

/** The ResetType for a verb; undefined when the system takes none that would do. */
export function resetTypeFor(verb: ResetVerb, { types = USUAL }: Pick<ResetAction, 'types'>): string | undefined {
  return TYPES[verb].find((type) => types.includes(type));
}

/** Whether the power state is what a verb is about to reach; undefined when it tells neither. */
export function isOnIn({ PowerState }: Pick<ComputerSystem, 'PowerState'>): boolean | undefined {
  if (PowerState === 'Off') return false;
  // What is going on or off is not off yet.
  return ['On', 'PoweringOn', 'PoweringOff', 'Paused'].includes(PowerState ?? '') ? true : undefined;
}

const WANTED: Readonly<Record<ResetVerb, boolean | undefined>> = { on: true, off: false, soft: false, cycle: undefined };

/**
 * Resets a system. Services differ in what they say to an order that changes nothing ("on" when it is on): when the state is as the verb
 * wants it, a refusal is none.
 * @throws SIDERO_BMC_UNSUPPORTED also for a cycle of a machine that is off
 */
export async function reset(client: ServiceClient, at: { readonly system: string; readonly verb: ResetVerb }, signal: AbortSignal): Promise<void> {
  const found = await client.get(at.system, ComputerSystem, signal);
  const action = await resetActionOf(client, found, signal);
  if (!action) throw client.failures.unsupported('the system has no Reset');
  const type = resetTypeFor(at.verb, action);
  if (type === undefined) {
    throw client.failures.unsupported(
      `"${at.verb}" needs one of ${TYPES[at.verb].join(', ')}, and it takes ${client.service.clause(action.types?.join(', ') ?? '')}`,
    );
  }
  const reply = await client.order({ method: 'POST', path: action.path, body: { ResetType: type } }, signal);
  if (isTaken(reply)) return;
  const refused = refusal(reply, client);
  if (![400, 409, 412, 500].includes(reply.status)) throw refused;
  const isOn = isOnIn((await client.get(at.system, ComputerSystem, signal)).document);
  if (at.verb === 'cycle' && isOn === false) throw client.failures.unsupported('the machine is off, and it resets only one that is on');
  if (isOn === undefined || isOn !== WANTED[at.verb]) throw refused;
}
