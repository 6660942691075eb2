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

/** Annotation of a binding: hashes of the keys that its machine had before, the last first. Talos never comes back with one of them. */
export const FORMER_KEYS_ANNOTATION = 'metal.sidero.dev/siderolink-former-keys';
const FORMER_KEYS = 32;

/** Who asks to join, and as whom. */
export interface ProvisionClaim {
  readonly binding: ServerBinding;
  readonly token: string;
  /** What the machine keeps on its disk; empty before there is one. */
  readonly machineToken: string;
  /** Of its WireGuard, base64; another one at each boot. */
  readonly publicKey: string;
  /** The user wrote `siderolink.api=` into the Environment that this server boots. */
  readonly hasOwnArgument: boolean;
}

/**
 * How a claim was judged: `proven` by its token; without one `own-argument` for the Environment's sake or `open` for a binding from before
 * tokens; `unproven` where it should have shown one and none is demanded; or refused.
 */
export type ProvisionVerdict =
  | { readonly admitted: 'proven' | 'own-argument' | 'open' | 'unproven'; readonly why: string }
  | { readonly refused: 'token' | 'machine' | 'key'; readonly why: string };

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
  const why = stranger ?? problemOfKey(claim.binding, claim.publicKey);
  if (!why) return byToken;
  return bootAuth === 'require' ? { refused: stranger ? 'machine' : 'key', why } : { admitted: 'unproven', why };
}

/** Whether a token is that of the machine of a binding. */
export async function showsToken(tokens: MachineTokens, { metadata, spec }: ServerBinding, token: string): Promise<boolean> {
  const { namespace = '', name = '' } = spec?.metalMachineRef ?? {};
  return token !== '' && tokens.check('join', { uuid: metadata.name, metalMachine: { namespace, name } }, token);
}

async function judgeToken(tokens: MachineTokens, { binding, token, hasOwnArgument }: ProvisionClaim): Promise<ProvisionVerdict> {
  if (await showsToken(tokens, binding, token)) return { admitted: 'proven', why: 'it showed its token' };
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

/** Why the machine cannot have this key now, as a clause; undefined when it can. Whoever heard an earlier boot join may tell it again, to put the machine out. */
export function problemOfKey({ metadata: { annotations }, spec }: ServerBinding, publicKey: string): string | undefined {
  if (spec?.siderolink?.publicKey === publicKey) return undefined;
  const isFormer = annotations?.[FORMER_KEYS_ANNOTATION]?.split(' ').includes(markOf(publicKey));
  return isFormer ? 'its WireGuard key is of an earlier boot, which somebody tells again' : undefined;
}

/** What FORMER_KEYS_ANNOTATION holds once the machine of a binding has another key; empty: it had none before. */
export function keysAfter({ metadata, spec }: ServerBinding, publicKey: string): string {
  const { [FORMER_KEYS_ANNOTATION]: former = '' } = metadata.annotations ?? {};
  const last = spec?.siderolink?.publicKey ?? '';
  const marks = [...(last === '' || last === publicKey ? [] : [markOf(last)]), ...former.split(' ').filter(Boolean)];
  return marks.slice(0, FORMER_KEYS).join(' ');
}

function markOf(publicKey: string): string {
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 12);
}
