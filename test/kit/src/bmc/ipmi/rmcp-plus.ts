import {
  CIPHER_SUITES,
  type CipherSuite,
  decodeOpenRequest,
  decodeRakp1,
  decodeRakp3,
  deriveKeys,
  encodeOpenAnswer,
  encodeRakp2,
  encodeRakp4,
  encodeRefusal,
  encodeRmcp,
  encodeSealed,
  type Handshake,
  PAYLOAD,
  PRIVILEGE,
  RAKP_STATUS,
  rakp2Code,
  rakp3Code,
  rakp4Code,
  suiteOf,
} from '@sidero/plugin-ipmi/protocol';
import type { Random } from '../../random.ts';
import type { Account, SimulatedBmc } from '../simulated-bmc.ts';
import { sealedBy, Session } from './session.ts';

/** Most logins that are half done; then the oldest is forgotten. */
const MAX_PENDING = 32;

/** A login under way. */
interface Pending {
  readonly consoleSessionId: number;
  readonly suite: CipherSuite;
  account?: Account;
  limit?: number;
  handshake?: Handshake;
}

export interface LoginOptions {
  readonly bmc: SimulatedBmc;
  readonly guid: Uint8Array;
  readonly suites: readonly CipherSuite['id'][];
  readonly random: Random;
  /** Called once somebody is in. */
  readonly onSession: (session: Session) => void;
}

/** The BMC's end of logging in by RMCP+ (IPMI 2.0, 13.15 to 13.24). */
export class RmcpPlusLogin {
  readonly #options: LoginOptions;
  readonly #pending = new Map<number, Pending>();

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  /** The answer to a login packet; undefined when it deserves none. @throws SIDERO_IPMI_MALFORMED */
  answer(payloadType: number, payload: Uint8Array): Uint8Array | undefined {
    switch (payloadType) {
      case PAYLOAD.openRequest:
        return unsealed(PAYLOAD.openResponse, this.#open(payload));
      case PAYLOAD.rakp1:
        return unsealed(PAYLOAD.rakp2, this.#rakp1(payload));
      case PAYLOAD.rakp3:
        return unsealed(PAYLOAD.rakp4, this.#rakp3(payload));
      default:
        return undefined;
    }
  }

  #open(payload: Uint8Array): Uint8Array {
    const { tag, consoleSessionId, algorithms, privilege } = decodeOpenRequest(payload);
    const refuse = (status: number) => encodeRefusal({ tag, status, consoleSessionId });
    const suite = suiteOf(algorithms);
    if (!suite || !this.#options.suites.includes(suite.id)) return refuse(this.#statusOf(algorithms.authentication));
    if (this.#options.bmc.obstacle() === 'full') return refuse(RAKP_STATUS.outOfResources);
    const bmcSessionId = this.#options.random.between(1, 0xfffffffe);
    const [oldest] = this.#pending.keys();
    if (this.#pending.size >= MAX_PENDING && oldest !== undefined) this.#pending.delete(oldest);
    this.#pending.set(bmcSessionId, { consoleSessionId, suite });
    return encodeOpenAnswer({
      tag,

      privilege: privilege || PRIVILEGE.administrator,
      consoleSessionId,
      bmcSessionId,
      algorithms,
    });
  }

  // A BMC of one suite only does not know the other's authentication at all.
  #statusOf(authentication: number): number {
    const isKnown = this.#options.suites.some((id) => CIPHER_SUITES[id].algorithms.authentication === authentication);
    return isKnown ? RAKP_STATUS.noSuite : RAKP_STATUS.invalidAuthentication;
  }

  #rakp1(payload: Uint8Array): Uint8Array | undefined {
    const { bmc, guid, random } = this.#options;
    const { tag, bmcSessionId, consoleRandom, role, user } = decodeRakp1(payload);
    const pending = this.#pending.get(bmcSessionId);
    if (!pending) return undefined;
    const { consoleSessionId, suite } = pending;
    const account = bmc.account(user);
    if (!account) return encodeRefusal({ tag, status: RAKP_STATUS.unauthorizedName, consoleSessionId });
    const wanted = role & 0x0f;
    if (wanted > PRIVILEGE[account.privilege]) return encodeRefusal({ tag, status: RAKP_STATUS.unauthorizedRole, consoleSessionId });
    const bmcRandom = random.bytes(16);
    const known = { suite, password: account.password, user, role, consoleSessionId, bmcSessionId, consoleRandom, bmcRandom, bmcGuid: guid };
    Object.assign(pending, { account, limit: wanted || PRIVILEGE[account.privilege], handshake: known });
    return encodeRakp2({ tag, consoleSessionId, bmcRandom, bmcGuid: guid, authCode: rakp2Code(known) });
  }

  #rakp3(payload: Uint8Array): Uint8Array | undefined {
    const { tag, status, bmcSessionId, authCode } = decodeRakp3(payload);
    const pending = this.#pending.get(bmcSessionId);
    if (!pending?.handshake || !pending.account || pending.limit === undefined) return undefined;
    const { consoleSessionId, handshake, account, limit } = pending;
    const refuse = (why: number) => encodeRefusal({ tag, status: why, consoleSessionId });
    // The console gave up: it found our proof wrong.
    if (status !== RAKP_STATUS.ok) {
      this.#pending.delete(bmcSessionId);
      return undefined;
    }
    if (!Buffer.from(authCode).equals(rakp3Code(handshake))) return refuse(RAKP_STATUS.invalidCode);
    const obstacle = this.#options.bmc.obstacle();
    if (obstacle) return refuse(obstacle === 'full' ? RAKP_STATUS.outOfResources : RAKP_STATUS.invalidCode);
    this.#pending.delete(bmcSessionId);
    const seal = sealedBy(deriveKeys(handshake), consoleSessionId);
    this.#options.onSession(new Session({ id: bmcSessionId, account, limit, seal }));
    return encodeRakp4({ tag, consoleSessionId, integrityCode: rakp4Code(handshake) });
  }
}

function unsealed(payloadType: number, payload: Uint8Array | undefined): Uint8Array | undefined {
  return payload && encodeRmcp({ class: 'ipmi', body: encodeSealed({ payloadType, sessionId: 0, sequence: 0, payload }) });
}
