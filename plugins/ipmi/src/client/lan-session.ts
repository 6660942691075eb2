import { COMPLETION, hex } from '../wire/completion-codes.ts';
import { COMMAND, isCommand } from '../wire/commands.ts';
import { decodeResponse, encodeRequest, type IpmiResponse } from '../wire/lan-message.ts';
import { PRIVILEGE } from '../wire/rakp.ts';
import {
  type Activation,
  ACTIVATION_REFUSED,
  type AuthCapabilities,
  type Challenge,
  CHALLENGE_REFUSED,
  decodeActivation,
  decodeChallenge,
  encodeActivationRequest,
  encodeChallengeRequest,
  offersAuthType,
} from '../wire/session-commands.ts';
import { AUTH_TYPE, type AuthType, encodePlain, openPlain } from '../wire/session-packet.ts';
import { authCapabilities } from './auth-capabilities.ts';
import { bmcFailure, completionFailure, understood } from './bmc-failure.ts';
import type { Exchange } from './exchange.ts';
import { sequenceWindow } from './sequence-window.ts';
import type { Session, SessionTerms } from './session.ts';
import { askSessionless } from './sessionless.ts';

/** Best first. */
const AUTH_TYPES = [AUTH_TYPE.md5, AUTH_TYPE.password, AUTH_TYPE.none] as const;
const AUTH_NAMES = { [AUTH_TYPE.md5]: 'MD5', [AUTH_TYPE.password]: 'straight password', [AUTH_TYPE.none]: 'no authentication' } as const;

/** Where one opening stands. */
interface Opening {
  readonly exchange: Exchange;
  readonly terms: SessionTerms;
  readonly authType: AuthType;
  readonly signal: AbortSignal;
}

/**
 * Opens a session of IPMI 1.5, with the best authentication that the BMC offers. Nothing in it is encrypted.
 * @throws SIDERO_BMC_AUTH, SIDERO_BMC_BUSY, SIDERO_BMC_FAULT, SIDERO_BMC_UNREACHABLE, SIDERO_BMC_UNSUPPORTED
 */
export async function openLan(exchange: Exchange, terms: SessionTerms, signal: AbortSignal): Promise<Session> {
  const offered = await authCapabilities(exchange, { terms, isExtended: false, signal });
  const opening = { exchange, terms, authType: bestAuthType(terms, offered), signal };
  let refused = 0;
  for (const waitMs of terms.waitsMs) {
    // A challenge is used up when the answer to its login gets lost: each attempt has one of its own.
    const response = await activate(opening, await challengeOf(opening), waitMs);
    if (response?.completionCode === COMPLETION.ok) {
      return sessionOf(
        opening,
        understood(terms.subject, 'login', () => decodeActivation(response.data)),
      );
    }
    // One refusal may be that of a repetition made by the network.
    if (response && ++refused > 1) throw activationFailure(terms, response.completionCode);
  }
  // A BMC says nothing to a message with a wrong code.
  throw bmcFailure(terms.subject, 'SIDERO_BMC_AUTH', 'it knows the user, and is silent to the login: the password is wrong');
}

function bestAuthType({ subject }: SessionTerms, offered: AuthCapabilities | undefined): AuthType {
  const best = AUTH_TYPES.find((type) => offered && offersAuthType(offered, type));
  if (best === undefined) {
    throw bmcFailure(subject, 'SIDERO_BMC_UNSUPPORTED', 'it offers no authentication of IPMI 1.5 that we speak (MD5, straight password, none)');
  }
  return best;
}

async function challengeOf({ exchange, terms, authType, signal }: Opening): Promise<Challenge> {
  const { subject, user, waitsMs } = terms;
  const data = encodeChallengeRequest({ authType, user });
  const response = await askSessionless(exchange, { command: COMMAND.getSessionChallenge, data, waitsMs, signal });
  if (!response) throw bmcFailure(subject, 'SIDERO_BMC_UNREACHABLE', `to the question for a challenge ${exchange.silence(waitsMs)}`);
  const { completionCode } = response;
  if (completionCode === COMPLETION.ok) return understood(subject, 'challenge', () => decodeChallenge(response.data));
  if (completionCode === CHALLENGE_REFUSED.invalidUser || completionCode === CHALLENGE_REFUSED.noNullUser) {
    throw bmcFailure(subject, 'SIDERO_BMC_AUTH', `it does not know the user (${hex(completionCode)})`);
  }
  throw completionFailure(subject, 'challenge', completionCode);
}

/** Undefined when no answer came. */
function activate(
  { exchange, terms, authType, signal }: Opening,
  { temporarySessionId, challenge }: Challenge,
  waitMs: number,
): Promise<IpmiResponse | undefined> {
  const { password } = terms;
  const sequence = Math.floor(Math.random() * 64);
  const data = encodeActivationRequest({ authType, privilege: PRIVILEGE[terms.privilege], challenge, consoleSequence: 1 });
  const payload = encodeRequest({ ...COMMAND.activateSession, data, sequence });
  return exchange.ask<IpmiResponse>({
    packet: () => encodePlain({ authType, sequence: 0, sessionId: temporarySessionId, payload }, password),
    read: (packet) => {
      if (packet.version !== '1.5') return 'other-session';
      // A refusal may come unsigned: the BMC then has no password to sign with.
      const answer = decodeResponse(packet.authType === AUTH_TYPE.none ? packet.payload : openPlain(packet, password));
      if (!isCommand(answer, COMMAND.activateSession) || answer.sequence !== sequence) return 'unexpected';
      return packet.authType === authType || answer.completionCode !== 0 ? { answer } : 'unproven';
    },
    waitsMs: [waitMs],
    signal,
  });
}

function activationFailure({ subject }: SessionTerms, code: number): Error {
  const { noSlot, noSlotForUser, noSlotForPrivilege, privilegeExceeds } = ACTIVATION_REFUSED;
  const why = `(${hex(code)})`;
  const isFull = code === noSlot || code === noSlotForUser || code === noSlotForPrivilege;
  if (isFull) return bmcFailure(subject, 'SIDERO_BMC_BUSY', `it has no free session ${why}`);
  if (code === privilegeExceeds) return bmcFailure(subject, 'SIDERO_BMC_AUTH', `the user may not have the privilege level that was asked for ${why}`);
  return completionFailure(subject, 'login', code);
}

function sessionOf({ terms, authType: chosen }: Opening, { sessionId, bmcSequence, authType: after }: Activation): Session {
  const window = sequenceWindow();
  // With per-message authentication off, the rest of the session goes without.
  const authType = after === AUTH_TYPE.none ? AUTH_TYPE.none : chosen;
  let sequence = bmcSequence;
  return {
    version: '1.5',
    suite: undefined,
    id: sessionId,
    story: `IPMI 1.5 with ${AUTH_NAMES[chosen]}`,
    pack(payload) {
      const packet = encodePlain({ authType, sequence, sessionId, payload }, terms.password);
      sequence = sequence === 0xffffffff ? 1 : sequence + 1;
      return packet;
    },
    unpack(packet) {
      if (packet.version !== '1.5' || packet.sessionId !== sessionId) return 'other-session';
      if (packet.authType !== authType) return 'unproven';
      const message = openPlain(packet, terms.password);
      // Without authentication the numbers prove nothing, and some BMCs leave them at 0.
      return authType === AUTH_TYPE.none || window.accept(packet.sequence) ? message : 'replayed';
    },
  };
}
