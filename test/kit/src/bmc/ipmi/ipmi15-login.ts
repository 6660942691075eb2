import {
  ACTIVATION_REFUSED,
  AUTH_TYPE,
  type AuthType,
  CHALLENGE_REFUSED,
  COMPLETION,
  decodeActivationRequest,
  decodeChallengeRequest,
  decodeRequest,
  encodeActivation,
  encodeChallenge,
  type IpmiRequest,
  type PlainPacket,
  PRIVILEGE,
} from '@sidero/plugin-ipmi/protocol';
import type { Random } from '../../random.ts';
import type { Account, SimulatedBmc } from '../simulated-bmc.ts';
import type { Answer } from './commands.ts';
import { codedBy, type Seal, Session } from './session.ts';

/** What is offered. */
const AUTH_TYPES: readonly AuthType[] = [AUTH_TYPE.md5, AUTH_TYPE.password];

/** The same as bits: bit n is type n. */
export const AUTH_TYPE_BITS = AUTH_TYPES.reduce<number>((bits, type) => bits | (1 << type), 0);

const MAX_PENDING = 32;

interface Pending {
  readonly account: Account;
  readonly challenge: Uint8Array;
  readonly seal: Seal;
  readonly authType: AuthType;
}

export interface Ipmi15Options {
  readonly bmc: SimulatedBmc;
  readonly random: Random;
  /** Called once somebody is in. */
  readonly onSession: (session: Session) => void;
}

/** The BMC's end of logging in by IPMI 1.5 (IPMI 2.0, 6.12 and 22.16, 22.17). A wrong password gets no answer: its packet is no packet. */
export class Ipmi15Login {
  readonly #options: Ipmi15Options;
  readonly #pending = new Map<number, Pending>();

  constructor(options: Ipmi15Options) {
    this.#options = options;
  }

  /** Get Session Challenge. @throws SIDERO_IPMI_MALFORMED */
  challenge(data: Uint8Array): Answer {
    const { authType, user } = decodeChallengeRequest(data);
    const type = AUTH_TYPES.find((offered) => offered === authType);
    if (type === undefined) return { code: COMPLETION.invalidField };
    const account = this.#options.bmc.account(user);
    if (!account) return { code: CHALLENGE_REFUSED.invalidUser };
    const id = this.#options.random.between(1, 0xfffffffe);
    const challenge = this.#options.random.bytes(16);
    const [oldest] = this.#pending.keys();
    if (this.#pending.size >= MAX_PENDING && oldest !== undefined) this.#pending.delete(oldest);
    this.#pending.set(id, { account, challenge, authType: type, seal: codedBy(type, { id, password: account.password }) });
    return { code: COMPLETION.ok, data: encodeChallenge({ temporarySessionId: id, challenge }) };
  }

  /** Activate Session, in a packet of a session that is not yet open: the request and its answer. @throws SIDERO_IPMI_UNPROVEN, SIDERO_IPMI_MALFORMED */
  activate(packet: PlainPacket): { request: IpmiRequest; answer: Answer; seal: Seal } | undefined {
    const pending = this.#pending.get(packet.sessionId);
    const message = pending?.seal.open(packet);
    if (!pending || !message) return undefined;
    const request = decodeRequest(message);
    return { request, answer: this.#admit(packet.sessionId, pending, request.data), seal: pending.seal };
  }

  #admit(id: number, { account, challenge, seal, authType }: Pending, data: Uint8Array): Answer {
    const { bmc, onSession } = this.#options;
    const given = decodeActivationRequest(data);
    if (!Buffer.from(given.challenge).equals(challenge)) return { code: ACTIVATION_REFUSED.invalidSession };
    if (given.privilege > PRIVILEGE[account.privilege]) return { code: ACTIVATION_REFUSED.privilegeExceeds };
    if (given.consoleSequence === 0) return { code: ACTIVATION_REFUSED.sequenceOutOfRange };
    if (bmc.obstacle()) return { code: ACTIVATION_REFUSED.noSlot };
    this.#pending.delete(id);
    onSession(new Session({ id, account, limit: given.privilege, seal, firstSequence: given.consoleSequence }));
    return { code: COMPLETION.ok, data: encodeActivation({ authType, sessionId: id, bmcSequence: 1, privilege: given.privilege }) };
  }
}
