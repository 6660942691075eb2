import { randomBytes } from 'node:crypto';
import type { SideroError } from '@sidero/core';
import { isSameCode } from '../wire/bytes.ts';
import { CIPHER_SUITES, type CipherSuite } from '../wire/cipher-suite.ts';
import { hex, RAKP_STATUS, rakpStatusText } from '../wire/completion-codes.ts';
import {
  decodeOpenAnswer,
  decodeRakp2,
  decodeRakp4,
  encodeOpenRequest,
  encodeRakp1,
  encodeRakp3,
  isGranted,
  NAME_ONLY_LOOKUP,
  type OpenSessionAnswer,
  PRIVILEGE,
  type Rakp2,
  type Rakp4,
  type Refusal,
} from '../wire/rakp.ts';
import { deriveKeys, type Handshake, rakp2Code, rakp3Code, rakp4Code } from '../wire/session-keys.ts';
import { encodeSealed, openSealed, PAYLOAD } from '../wire/session-packet.ts';
import { authCapabilities } from './auth-capabilities.ts';
import { bmcFailure, isAboutSuite, isFull, rakpFailure } from './bmc-failure.ts';
import type { Exchange } from './exchange.ts';
import { sequenceWindow } from './sequence-window.ts';
import type { Session, SessionTerms } from './session.ts';

/** Attempts at each step. What stays silent is tried from the start, or with the next suite: some BMCs don't answer what they don't speak. */
const ATTEMPTS_PER_STEP = 2;
const NO_ANSWER = 'no answer';
const LAN_HINT = 'spec.bmc.interface "lan" may do';

/** What became of one try: a session; a suite that the BMC doesn't speak; or something that may go better the second time. */
type Outcome = { readonly session: Session } | { readonly noSuite: string } | { readonly again: SideroError };

/**
 * Opens a session of RMCP+ (IPMI 2.0), with the first suite that the BMC takes.
 * @throws SIDERO_BMC_AUTH, SIDERO_BMC_BUSY, SIDERO_BMC_FAULT, SIDERO_BMC_UNREACHABLE, SIDERO_BMC_UNSUPPORTED
 */
export async function openLanplus(exchange: Exchange, terms: SessionTerms, signal: AbortSignal): Promise<Session> {
  const capabilities = await authCapabilities(exchange, { terms, isExtended: true, signal });
  if (capabilities && !capabilities.speaksIpmi2) {
    throw bmcFailure(terms.subject, 'SIDERO_BMC_UNSUPPORTED', `it speaks IPMI 1.5 only; ${LAN_HINT}`);
  }
  const refused: string[] = [];
  for (const id of terms.suites) {
    const outcome = await tryAgain(() => new Opening(exchange, { ...terms, suite: CIPHER_SUITES[id], refused }, signal).run());
    if ('session' in outcome) return outcome.session;
    if ('again' in outcome) throw outcome.again;
    refused.push(`suite ${id}: ${outcome.noSuite}`);
  }
  throw noSuiteFailure(terms, refused, capabilities !== undefined);
}

function noSuiteFailure({ subject }: SessionTerms, refused: readonly string[], isIpmi2: boolean): SideroError {
  const story = refused.join('; ');
  // Silence may be the network's: only what was refused in words is certain.
  const isCertain = !refused.some((each) => each.endsWith(NO_ANSWER));
  if (isCertain) return bmcFailure(subject, 'SIDERO_BMC_UNSUPPORTED', `no cipher suite of ours suits it: ${story}`);
  if (isIpmi2) return bmcFailure(subject, 'SIDERO_BMC_UNREACHABLE', `it tells what logins it takes, and not all begin: ${story}`);
  return bmcFailure(subject, 'SIDERO_BMC_UNSUPPORTED', `it is silent to RMCP+, as BMCs of IPMI 1.5 are; ${LAN_HINT}`);
}

// Nothing is signed yet: a packet that was changed, or crossed with its repetition, is not to look like a wrong user or password. A login
// that is refused twice is; more often, and BMCs lock users out.
async function tryAgain(run: () => Promise<Outcome>): Promise<Outcome> {
  const first = await run();
  if (!('again' in first)) return first;
  const second = await run();
  const isRefusedTwice = 'again' in second && [first, second].every(({ again }) => again.code === 'SIDERO_BMC_AUTH');
  return !('again' in second) || isRefusedTwice ? second : run();
}

interface OpeningTerms extends SessionTerms {
  readonly suite: CipherSuite;
  /** What was tried before, for people. */
  readonly refused: readonly string[];
}

/** One run through Open Session and the four RAKP messages (IPMI 2.0, 13.17 to 13.24). */
class Opening {
  readonly #exchange: Exchange;
  readonly #terms: OpeningTerms;
  readonly #signal: AbortSignal;
  readonly #waitsMs: readonly number[];
  readonly #consoleSessionId = randomBytes(4).readUInt32LE() || 1;
  #tag = randomBytes(1)[0]!;

  constructor(exchange: Exchange, terms: OpeningTerms, signal: AbortSignal) {
    this.#exchange = exchange;
    this.#terms = terms;
    this.#signal = signal;
    this.#waitsMs = terms.waitsMs.slice(0, ATTEMPTS_PER_STEP);
  }

  async run(): Promise<Outcome> {
    const { suite, subject, privilege } = this.#terms;
    const opened = await this.#open();
    if (!opened) return { noSuite: NO_ANSWER };
    if (!isGranted(opened)) return this.#refusal(opened);
    if (!isSuite(suite, opened)) return { noSuite: 'it answers with other algorithms' };
    const { bmcSessionId } = opened;
    const ours = { consoleRandom: randomBytes(16), role: NAME_ONLY_LOOKUP | PRIVILEGE[privilege], user: this.#terms.user };
    const second = await this.#rakp1(bmcSessionId, ours);
    if (!second) return { again: this.#silent('RAKP 1') };
    if (!isGranted(second)) return this.#refusal(second);
    const { password } = this.#terms;
    const handshake = { ...ours, ...second, suite, password, bmcSessionId };
    if (!isSameCode(second.authCode, rakp2Code(handshake))) return this.#wrongPassword(bmcSessionId);
    const fourth = await this.#rakp3(handshake);
    if (!fourth) return { again: this.#silent('RAKP 3') };
    if (!isGranted(fourth)) return this.#refusal(fourth, 'SIDERO_BMC_FAULT');
    if (!isSameCode(fourth.integrityCode, rakp4Code(handshake))) {
      return { again: bmcFailure(subject, 'SIDERO_BMC_FAULT', 'its last code of the login is wrong; a key of its own (K_G) is not supported') };
    }
    return { session: sessionOf(handshake, [...this.#terms.refused, `suite ${suite.id}: accepted`].join('; ')) };
  }

  #open(): Promise<OpenSessionAnswer | Refusal | undefined> {
    const { suite, privilege } = this.#terms;
    const consoleSessionId = this.#consoleSessionId;
    return this.#ask({
      types: [PAYLOAD.openRequest, PAYLOAD.openResponse],
      encode: (tag) => encodeOpenRequest({ tag, privilege: PRIVILEGE[privilege], consoleSessionId, algorithms: suite.algorithms }),
      decode: decodeOpenAnswer,
    });
  }

  #rakp1(bmcSessionId: number, ours: Pick<Handshake, 'consoleRandom' | 'role' | 'user'>): Promise<Rakp2 | Refusal | undefined> {
    return this.#ask({
      types: [PAYLOAD.rakp1, PAYLOAD.rakp2],
      encode: (tag) => encodeRakp1({ ...ours, tag, bmcSessionId }),
      decode: decodeRakp2,
    });
  }

  #rakp3(handshake: Handshake): Promise<Rakp4 | Refusal | undefined> {
    const { bmcSessionId } = handshake;
    return this.#ask({
      types: [PAYLOAD.rakp3, PAYLOAD.rakp4],
      encode: (tag) => encodeRakp3({ tag, status: 0, bmcSessionId, authCode: rakp3Code(handshake) }),
      decode: decodeRakp4,
    });
  }

  // Lets the BMC forget the half-open session at once; it has few.
  #wrongPassword(bmcSessionId: number): Outcome {
    const payload = encodeRakp3({ tag: ++this.#tag & 0xff, status: RAKP_STATUS.invalidCode, bmcSessionId, authCode: new Uint8Array() });
    this.#exchange.tell(encodeSealed({ payloadType: PAYLOAD.rakp3, sessionId: 0, sequence: 0, payload }));
    return { again: bmcFailure(this.#terms.subject, 'SIDERO_BMC_AUTH', 'the password is not that of the user on the BMC') };
  }

  /** @param ifPassword what a wrong code means: no wrong password once the BMC has shown that it knows the same */
  #refusal({ status }: Refusal, ifPassword: 'SIDERO_BMC_AUTH' | 'SIDERO_BMC_FAULT' = 'SIDERO_BMC_AUTH'): Outcome {
    const { subject } = this.#terms;
    if (isAboutSuite(status)) return { noSuite: rakpStatusText(status) };
    if (isFull(status)) throw rakpFailure(subject, status);
    if (status !== RAKP_STATUS.invalidCode) return { again: rakpFailure(subject, status) };
    return { again: bmcFailure(subject, ifPassword, `it refuses our proof of the password (${hex(status)})`) };
  }

  #silent(step: string): SideroError {
    const problem = `it began to open a session, then to ${step} ${this.#exchange.silence(this.#waitsMs)}`;
    return bmcFailure(this.#terms.subject, 'SIDERO_BMC_UNREACHABLE', problem);
  }

  #ask<T extends { readonly tag: number; readonly consoleSessionId: number; readonly status: number }>(step: Step<T>): Promise<T | undefined> {
    const tag = ++this.#tag & 0xff;
    const [payloadType, answerType] = step.types;
    const packet = encodeSealed({ payloadType, sessionId: 0, sequence: 0, payload: step.encode(tag) });
    return this.#exchange.ask({
      packet: () => packet,
      read: (heard) => {
        if (heard.version !== '2.0' || heard.sessionId !== 0 || heard.payloadType !== answerType) return 'unexpected';
        const answer = step.decode(heard.payload);
        const isOurs = answer.consoleSessionId === this.#consoleSessionId || (answer.status !== 0 && answer.consoleSessionId === 0);
        return isOurs && answer.tag === tag ? { answer } : 'unexpected';
      },
      waitsMs: this.#waitsMs,
      signal: this.#signal,
    });
  }
}

interface Step<T> {
  /** Of the question and of its answer. */
  readonly types: readonly [question: number, answer: number];
  encode(tag: number): Uint8Array;
  decode(payload: Uint8Array): T;
}

function isSuite({ algorithms }: CipherSuite, { algorithms: taken }: OpenSessionAnswer): boolean {
  return (
    taken.authentication === algorithms.authentication &&
    taken.integrity === algorithms.integrity &&
    taken.confidentiality === algorithms.confidentiality
  );
}

function sessionOf(handshake: Handshake, story: string): Session {
  const keys = deriveKeys(handshake);
  const window = sequenceWindow();
  let sequence = 0;
  return {
    version: '2.0',
    suite: handshake.suite,
    id: handshake.bmcSessionId,
    story,
    pack(payload) {
      sequence = sequence === 0xffffffff ? 1 : sequence + 1;
      return encodeSealed({ payloadType: PAYLOAD.ipmi, sessionId: handshake.bmcSessionId, sequence, payload }, keys);
    },
    unpack(packet) {
      if (packet.version !== '2.0' || packet.sessionId !== handshake.consoleSessionId) return 'other-session';
      const message = openSealed(packet, keys);
      if (packet.payloadType !== PAYLOAD.ipmi) return 'unexpected';
      return window.accept(packet.sequence) ? message : 'replayed';
    },
  };
}
