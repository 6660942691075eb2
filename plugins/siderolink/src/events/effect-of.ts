import { isIP } from 'node:net';
import { markFalse, markTrue, type ServerBinding } from '@sidero/core';
import { sameText } from '../machines/linked-machine.ts';
import type { AddressFilter } from './address-filter.ts';
import type { TalosMessage } from './talos-message.ts';

/** Writes what an event says into a ServerBinding. It depends on nothing but the draft. */
export type Effect = (draft: ServerBinding) => void;

/** What an effect depends on besides the event. */
export interface EffectContext {
  /** The sender's address in the tunnel. */
  readonly linkAddress: string;
  readonly isFiltered: AddressFilter;
  readonly now: Date;
}

/** More than any machine has; an object in the API has its limits. */
const MOST_ADDRESSES = 256;
const LONGEST_NAME = 253;

/** What an event changes; undefined when it only tells. */
export function effectOf(message: TalosMessage, context: EffectContext): Effect | undefined {
  const { now } = context;
  switch (message.kind) {
    case 'address':
      return addressesAre(message, context);
    case 'config-load-error':
      return isFalse({ type: 'TalosConfigLoaded', reason: 'TalosConfigLoadFailed', severity: 'Error', message: message.error }, now);
    case 'config-validation-error':
      return isFalse({ type: 'TalosConfigValidated', reason: 'TalosConfigValidationFailed', severity: 'Error', message: message.error }, now);
    case 'phase':
      return phaseEffect(message, now);
    case 'sequence':
      return sequenceEffect(message, now);
    default:
      return undefined;
  }
}

function phaseEffect({ phase, action }: { readonly phase: string; readonly action: string }, now: Date): Effect | undefined {
  if (action !== 'START') return undefined;
  if (phase === 'install') return isFalse({ type: 'TalosInstalled', reason: 'TalosInstallationInProgress', severity: 'Info' }, now);
  if (phase === 'saveConfig') return areTrue(['TalosConfigValidated', 'TalosConfigLoaded'], now);
  return undefined;
}

function sequenceEffect({ sequence, action, error }: Extract<TalosMessage, { kind: 'sequence' }>, now: Date): Effect | undefined {
  if (sequence === 'boot' && action === 'START') return areTrue(['TalosInstalled', 'TalosConfigValidated', 'TalosConfigLoaded'], now);
  // The last thing an installation does is to boot anew, and the sequence never gets to its end.
  if (sequence !== 'install' || action !== 'NOOP' || error?.code !== 'FATAL') return undefined;
  if (error.message.includes('unix.Reboot')) return areTrue(['TalosInstalled'], now);
  return isFalse({ type: 'TalosInstalled', reason: 'TalosInstallationFailed', severity: 'Error', message: error.message }, now);
}

function areTrue(types: readonly string[], now: Date): Effect {
  return (draft) => {
    const conditions = types.reduce((known, type) => markTrue(known, type, now), draft.status?.conditions ?? []);
    draft.status = { ...draft.status, conditions };
  };
}

function isFalse(condition: Parameters<typeof markFalse>[1], now: Date): Effect {
  return (draft) => {
    draft.status = { ...draft.status, conditions: markFalse(draft.status?.conditions, condition, now) };
  };
}

function addressesAre({ hostname, addresses }: Extract<TalosMessage, { kind: 'address' }>, { linkAddress, isFiltered }: EffectContext): Effect {
  const own = sameText(linkAddress);
  const told = addresses.filter((address) => isIP(address) !== 0 && sameText(address) !== own && !isFiltered(address)).slice(0, MOST_ADDRESSES);
  return (draft) => {
    if (draft.spec) Object.assign(draft.spec, { hostname: hostname.slice(0, LONGEST_NAME), addresses: told });
  };
}
