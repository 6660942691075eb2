import { SideroError } from '@sidero/core';
import {
  AUTH_TYPE,
  CLOSE_REFUSED,
  COMMAND,
  COMPLETION,
  decodeAuthCapabilitiesRequest,
  decodeCloseSession,
  decodeRequest,
  decodeRmcp,
  decodeSession,
  encodeAuthCapabilities,
  encodePlain,
  encodeResponse,
  encodeRmcp,
  encodeSealed,
  type IpmiRequest,
  isCommand,
  PAYLOAD,
  type PlainPacket,
  PRIVILEGE_REFUSED,
  type SealedPacket,
} from '@sidero/plugin-ipmi/protocol';
import { seededRandom } from '../../random.ts';
import { AUTH_TYPE_BITS, Ipmi15Login } from './ipmi15-login.ts';
import { type Answer, cipherSuites, type Device, execute, LAN_CHANNEL } from './commands.ts';
import { RmcpPlusLogin } from './rmcp-plus.ts';
import type { Session } from './session.ts';

/** A session that nobody used for so long is closed (IPMI 2.0, 6.12.15). */
const IDLE_MS = 60_000;

export interface ResponderOptions extends Device {
  readonly speaksIpmi15: boolean;
  /** Answers a repeated request from memory; BMCs differ. */
  readonly knowsRepeats: boolean;
  readonly seed: string | number;
}

/** A command that the BMC was given and carried out or refused, oldest first. */
export interface CommandRecord {
  readonly netFn: number;
  readonly command: number;
  readonly data: Uint8Array;
  readonly code: number;
}

/** A BMC as a function from datagram to datagram. */
export class IpmiResponder {
  readonly commands: CommandRecord[] = [];
  /** Packets that were not taken. */
  dropped = 0;
  readonly #options: ResponderOptions;
  readonly #sessions = new Map<number, Session>();
  readonly #plus: RmcpPlusLogin;
  readonly #plain: Ipmi15Login;

  constructor(options: ResponderOptions) {
    this.#options = options;
    const random = seededRandom('ipmi', options.seed);
    const onSession = (session: Session) => this.#add(session);
    this.#plus = new RmcpPlusLogin({ ...options, random, onSession });
    this.#plain = new Ipmi15Login({ ...options, random, onSession });
  }

  /** What is sent back; undefined when the datagram deserves no answer. */
  answer(datagram: Uint8Array): Uint8Array | undefined {
    try {
      const answer = this.#answer(datagram);
      if (!answer) this.dropped++;
      return answer;
    } catch (thrown) {
      if (!(thrown instanceof SideroError)) throw thrown;
      this.dropped++;
      return undefined;
    }
  }

  #answer(datagram: Uint8Array): Uint8Array | undefined {
    const message = decodeRmcp(datagram);
    if (message.class === 'ping') return encodeRmcp({ class: 'pong', tag: message.tag, speaksIpmi: true });
    if (message.class === 'pong') return undefined;
    const packet = decodeSession(message.body);
    this.#forgetIdle();
    if (packet.sessionId !== 0) return this.#inSession(packet);
    if (packet.version === '2.0' && packet.payloadType !== PAYLOAD.ipmi) return this.#plus.answer(packet.payloadType, packet.payload);
    return this.#outside(packet);
  }

  #add(session: Session): void {
    session.lastUsedMs = this.#nowMs();
    this.#sessions.set(session.id, session);
    this.#options.bmc.sessions.add(String(session.id));
  }

  #remove(session: Session): void {
    this.#sessions.delete(session.id);
    this.#options.bmc.sessions.delete(String(session.id));
  }

  #nowMs(): number {
    return this.#options.bmc.clock.now().getTime();
  }

  // Also those that the device behind us has forgotten.
  #forgetIdle(): void {
    const { sessions } = this.#options.bmc;
    for (const session of this.#sessions.values()) {
      if (!sessions.has(String(session.id)) || this.#nowMs() - session.lastUsedMs > IDLE_MS) this.#remove(session);
    }
  }

  #outside(packet: PlainPacket | SealedPacket): Uint8Array | undefined {
    const request = decodeRequest(packet.payload);
    const answer = this.#withoutSession(request);
    if (!answer) return undefined;
    const payload = encodeAnswer(request, answer);
    const body =
      packet.version === '2.0'
        ? encodeSealed({ payloadType: PAYLOAD.ipmi, sessionId: 0, sequence: 0, payload })
        : encodePlain({ authType: AUTH_TYPE.none, sessionId: 0, sequence: 0, payload });
    return encodeRmcp({ class: 'ipmi', body });
  }

  /** The few commands that need no login. */
  #withoutSession(request: IpmiRequest): Answer | undefined {
    const { speaksIpmi15, suites } = this.#options;
    if (isCommand(request, COMMAND.getAuthCapabilities)) return this.#capabilities(request.data);
    if (isCommand(request, COMMAND.getChannelCipherSuites)) return cipherSuites(request.data, suites);
    if (speaksIpmi15 && isCommand(request, COMMAND.getSessionChallenge)) return this.#plain.challenge(request.data);
    return undefined;
  }

  #capabilities(data: Uint8Array): Answer {
    const { speaksIpmi15, suites } = this.#options;
    const { isExtended } = decodeAuthCapabilitiesRequest(data);
    const authTypes = speaksIpmi15 ? AUTH_TYPE_BITS : 0;
    const speaks = { speaksIpmi2: isExtended && suites.length > 0, speaksIpmi15 };
    return {
      code: COMPLETION.ok,
      data: encodeAuthCapabilities({ channel: LAN_CHANNEL, authTypes, ...speaks, hasBmcKey: false, isPerMessageOff: false }),
    };
  }

  #inSession(packet: PlainPacket | SealedPacket): Uint8Array | undefined {
    const session = this.#sessions.get(packet.sessionId);
    if (!session) return packet.version === '1.5' ? this.#activation(packet) : undefined;
    const message = session.open(packet);
    if (!message || this.#options.bmc.forgetsSession()) return undefined;
    session.lastUsedMs = this.#nowMs();
    const request = decodeRequest(message);
    const { last } = session;
    if (this.#options.knowsRepeats && last && Buffer.from(last.request).equals(message)) return session.seal(last.answer);
    const answer = encodeAnswer(request, this.#execute(request, session));
    session.last = { request: message, answer };
    return session.seal(answer);
  }

  #activation(packet: PlainPacket): Uint8Array | undefined {
    const found = this.#plain.activate(packet);
    // Its answer still bears the sequence number 0.
    return found && isCommand(found.request, COMMAND.activateSession) ? found.seal.seal(encodeAnswer(found.request, found.answer), 0) : undefined;
  }

  #execute(request: IpmiRequest, session: Session): Answer {
    const answer = this.#answerTo(request, session);
    this.commands.push({ netFn: request.netFn, command: request.command, data: request.data, code: answer.code });
    return answer;
  }

  #ofSession(request: IpmiRequest, session: Session): Answer | undefined {
    const [first = 0] = request.data;
    if (isCommand(request, COMMAND.getAuthCapabilities)) return this.#capabilities(request.data);
    if (isCommand(request, COMMAND.setSessionPrivilege)) {
      if ((first & 0x0f) > session.limit) return { code: PRIVILEGE_REFUSED.exceedsLimit };
      session.privilege = first & 0x0f || session.privilege;
      return { code: COMPLETION.ok, data: Uint8Array.of(session.privilege) };
    }
    if (isCommand(request, COMMAND.closeSession)) {
      const other = this.#sessions.get(decodeCloseSession(request.data));
      if (!other) return { code: CLOSE_REFUSED.invalidSession };
      this.#remove(other);
      return { code: COMPLETION.ok };
    }
    return undefined;
  }

  #answerTo(request: IpmiRequest, session: Session): Answer {
    try {
      return this.#ofSession(request, session) ?? execute(request, this.#options, session.privilege);
    } catch (thrown) {
      if (!(thrown instanceof SideroError)) throw thrown;
      return { code: COMPLETION.lengthInvalid };
    }
  }
}

function encodeAnswer({ netFn, command, sequence }: IpmiRequest, { code, data = new Uint8Array() }: Answer): Uint8Array {
  return encodeResponse({ netFn: netFn + 1, command, sequence, completionCode: code, data });
}
