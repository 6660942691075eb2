import type { MachineTokens, ServerBinding, Site } from '@sidero/core';
import { createHash } from 'node:crypto';

/**
 * Annotation of a binding: `given` once a network boot of ours carried its token, `shown` once the machine showed it, `none` when it joined
 * without one. The original's bindings have no such annotation.
 */
export const JOIN_ANNOTATION = 'metal.sidero.dev/siderolink-token';
/** Annotation of a binding: how its machine was let in with the key that it has now, and when; `proven 2026-11-29T23:05:00.000Z`. For people. */
export const JOINED_ANNOTATION = 'metal.sidero.dev/siderolink-joined';
/** Annotation of a binding: hash of what the machine that joined keeps on its disk. Another machine has another one. */
export const PIN_ANNOTATION = 'metal.sidero.dev/siderolink-machine';

/** Who asks to join, and as whom. */
export interface ProvisionClaim {
  readonly binding: ServerBinding;
  readonly token: string;
  /** What the machine keeps on its disk; empty before there is one. */
  readonly machineToken: string;
  /** The user wrote `siderolink.api=` into the Environment that this server boots. */
  readonly hasOwnArgument: boolean;
}

/**
 * How a claim was judged: `proven` by its token; without one `own-argument` for the Environment's sake or `open` for a binding from before
 * tokens; `unproven` where it should have shown one and none is demanded; or refused.
 */
export type ProvisionVerdict =
  | { readonly admitted: 'proven' | 'own-argument' | 'open' | 'unproven'; readonly why: string }
  | { readonly refused: 'token' | 'machine'; readonly why: string };

/** How a machine was let in. */
export type Admitted = Extract<ProvisionVerdict, { admitted: string }>['admitted'];

/** What JOINED_ANNOTATION holds. */
export function joinedText(admitted: Admitted, at: Date): string {
  return `${admitted} ${at.toISOString()}`;
}

/** Reads it; undefined: there is none, or it is none of ours. */
export function joinedOf(text: string | undefined): { readonly admitted: Admitted; readonly at: Date } | undefined {
  const [, admitted, time = ''] = /^(proven|own-argument|open|unproven) (\S+)$/.exec(text ?? '') ?? [];
  const at = new Date(time);
  return admitted === undefined || Number.isNaN(at.getTime()) ? undefined : { admitted: admitted as Admitted, at };
}

/** Whether a machine may have the binding's place in the tunnel. */
export async function judgeProvision(tokens: MachineTokens, bootAuth: Site['bootAuth'], claim: ProvisionClaim): Promise<ProvisionVerdict> {
  const byToken = await judgeToken(tokens, claim);
  if ('refused' in byToken) return bootAuth === 'require' ? byToken : { admitted: 'unproven', why: byToken.why };
  const stranger = problemOfMachine(claim.binding, claim.machineToken, byToken.admitted);
  if (!stranger) return byToken;
  return bootAuth === 'require' ? { refused: 'machine', why: stranger } : { admitted: 'unproven', why: stranger };
}

async function judgeToken(tokens: MachineTokens, { binding, token, hasOwnArgument }: ProvisionClaim): Promise<ProvisionVerdict> {
  const { namespace = '', name = '' } = binding.spec?.metalMachineRef ?? {};
  const bound = { uuid: binding.metadata.name, metalMachine: { namespace, name } };
  if (token !== '' && (await tokens.check('join', bound, token))) return { admitted: 'proven', why: 'it showed its token' };
  // What the user wrote may carry a token of his own, which means nothing here.
  if (hasOwnArgument) return { admitted: 'own-argument', why: 'its Environment has siderolink.api= of its own' };
  if (token !== '') return { refused: 'token', why: 'its join token is not the one of this machine' };
  if (!mustShowToken(binding)) return { admitted: 'open', why: 'its ServerBinding is from before tokens' };
  return { refused: 'token', why: 'it showed no join token' };
}

/** Whether the machine of a binding has shown a token, or was given one before it ever joined. */
export function mustShowToken({ metadata: { annotations } }: ServerBinding): boolean {
  return ['given', 'shown'].includes(annotations?.[JOIN_ANNOTATION] ?? '');
}

/**
 * Why it cannot be the machine that joined before, as a clause; undefined when it can. A machine that shows its token is believed over one
 * that never did.
 */
export function problemOfMachine(binding: ServerBinding, machineToken: string, admitted: string): string | undefined {
  const { [PIN_ANNOTATION]: pin, [JOIN_ANNOTATION]: shown } = binding.metadata.annotations ?? {};
  if (!pin || pin === pinOf(binding, machineToken) || (admitted === 'proven' && shown !== 'shown')) return undefined;
  return machineToken === '' ? 'the machine that joined before keeps a token on its disk, and this one shows none' : 'another machine joined before';
}

/** What is kept of a machine's own token. */
export function pinOf(binding: ServerBinding, machineToken: string): string {
  return createHash('sha256').update(`${binding.metadata.name}\0${machineToken}`).digest('hex');
}
