import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import * as protocol from './protocol.ts';

const { AUTH_TYPE, COMMAND, PAYLOAD, RAKP_STATUS } = protocol;

/** A request that came in a session. */
export interface SeenRequest {
  /** Name in COMMAND. */
  readonly name: string;
  readonly data: readonly number[];
  /** Number of the request, and of its packet. */
  readonly sequence: number;
  readonly packetSequence: number;
  readonly sessionId: number;
}

/** What the BMC is told to do. All may be changed while it runs. */
export interface Script {
  users: Record<string, string>;
  suites: (3 | 17)[];
  /** Suites to whose opening it says nothing. */
  silentSuites: (3 | 17)[];
  /** Status of RAKP 2, for all. */
  rakp2Status: number;
  speaksIpmi2: boolean;
  authTypes: number;
  /** Completion code of Activate Session. */
  activation: number;
  isOn: boolean;
  /** Answer of a command in a session: 'silent', a completion code, or data. Undefined: as usual. */
  answer(request: SeenRequest): 'silent' | number | readonly number[] | undefined;
  /** What goes out instead of an answer of this kind: 'plain' is before a session is open. */
  deliver(datagram: Uint8Array, kind: 'plain' | 'session' | 'rakp2' | 'rakp4'): readonly Uint8Array[];
}

export interface ScriptedBmc extends AsyncDisposable {
  readonly port: number;
  readonly script: Script;
  readonly requests: SeenRequest[];
  /** Payload types and commands before a session is open, as they came; the suite of openings. */
  readonly openings: string[];
  /** Open sessions, by their number. */
  readonly sessions: Map<number, OpenSession>;
  /** Sends to whoever asked last. */
  send(datagram: Uint8Array): void;
}

interface OpenSession {
  readonly keys?: protocol.SessionKeys;
  readonly consoleSessionId: number;
  readonly authType: protocol.AuthType;
  sequence: number;
}

/** A BMC with just enough sense for the client's tests: it follows a script, also where that is wrong. User `admin`, password `secret`. */
export async function scriptedBmc(given: Partial<Script> = {}, address = '127.0.0.1'): Promise<ScriptedBmc> {
  const bmc = new Bmc(given);
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  let from: RemoteInfo | undefined;
  const send = (datagram: Uint8Array): void => socket.send(datagram, from!.port, from!.address);
  socket.on('message', (datagram, sender) => {
    from = sender;
    for (const answer of bmc.answer(datagram)) send(answer);
  });
  return Object.assign(bmc, {
    port: socket.address().port,
    send,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  });
}

class Bmc {
  readonly script: Script;
  readonly requests: SeenRequest[] = [];
  readonly openings: string[] = [];
  readonly sessions = new Map<number, OpenSession>();
  readonly #guid = randomBytes(16);
  #handshake: Partial<protocol.Handshake> = {};
  #challenged = '';

  constructor(given: Partial<Script>) {
    this.script = {
      users: { admin: 'secret' },
      suites: [17, 3],
      silentSuites: [],
      rakp2Status: 0,
      speaksIpmi2: true,
      authTypes: 1 << AUTH_TYPE.md5,
      activation: 0,
      isOn: false,
      answer: () => undefined,
      deliver: (datagram) => [datagram],
      ...given,
    };
  }

  answer(datagram: Uint8Array): readonly Uint8Array[] {
    const rmcp = protocol.decodeRmcp(datagram);
    if (rmcp.class !== 'ipmi') return [];
    const packet = protocol.decodeSession(rmcp.body);
    if (packet.version === '1.5') return this.#plain(packet);
    if (packet.sessionId === 0) return this.#opening(packet);
    return this.#sealed(packet);
  }

  #out(body: Uint8Array, kind: Parameters<Script['deliver']>[1]): readonly Uint8Array[] {
    return this.script.deliver(protocol.encodeRmcp({ class: 'ipmi', body }), kind);
  }

  #opening(packet: protocol.SealedPacket): readonly Uint8Array[] {
    const reply = (payloadType: number, payload: Uint8Array, kind: 'plain' | 'rakp2' | 'rakp4' = 'plain') =>
      this.#out(protocol.encodeSealed({ payloadType, sessionId: 0, sequence: 0, payload }), kind);
    if (packet.payloadType === PAYLOAD.openRequest) {
      const request = protocol.decodeOpenRequest(packet.payload);
      const suite = protocol.suiteOf(request.algorithms)!;
      this.openings.push(`suite ${suite.id}`);
      if (this.script.silentSuites.includes(suite.id)) return [];
      if (!this.script.suites.includes(suite.id)) {
        return reply(PAYLOAD.openResponse, protocol.encodeRefusal({ ...request, status: RAKP_STATUS.noSuite }));
      }
      const bmcSessionId = randomBytes(4).readUInt32LE() || 1;
      this.#handshake = { suite, bmcSessionId, consoleSessionId: request.consoleSessionId };
      return reply(PAYLOAD.openResponse, protocol.encodeOpenAnswer({ ...request, bmcSessionId }));
    }
    const { consoleSessionId = 0 } = this.#handshake;
    if (packet.payloadType === PAYLOAD.rakp1) {
      const request = protocol.decodeRakp1(packet.payload);
      const password = this.script.users[request.user];
      const status = this.script.rakp2Status || (password === undefined ? RAKP_STATUS.unauthorizedName : 0);
      this.openings.push(`RAKP 1 role ${request.role}`);
      if (status !== 0 || password === undefined) return reply(PAYLOAD.rakp2, protocol.encodeRefusal({ tag: request.tag, status, consoleSessionId }));
      const { consoleRandom, role, user } = request;
      this.#handshake = { ...this.#handshake, consoleRandom, role, user, password, bmcRandom: randomBytes(16), bmcGuid: this.#guid };
      const known = this.#handshake as protocol.Handshake;
      return reply(PAYLOAD.rakp2, protocol.encodeRakp2({ ...known, tag: request.tag, authCode: protocol.rakp2Code(known) }), 'rakp2');
    }
    const request = protocol.decodeRakp3(packet.payload);
    this.openings.push(`RAKP 3 status ${request.status}`);
    if (request.status !== 0) return [];
    const known = this.#handshake as protocol.Handshake;
    if (Buffer.compare(request.authCode, protocol.rakp3Code(known)) !== 0) {
      return reply(PAYLOAD.rakp4, protocol.encodeRefusal({ tag: request.tag, status: RAKP_STATUS.invalidCode, consoleSessionId }));
    }
    this.sessions.set(known.bmcSessionId, { keys: protocol.deriveKeys(known), consoleSessionId, authType: AUTH_TYPE.none, sequence: 0 });
    return reply(PAYLOAD.rakp4, protocol.encodeRakp4({ tag: request.tag, consoleSessionId, integrityCode: protocol.rakp4Code(known) }), 'rakp4');
  }

  #sealed(packet: protocol.SealedPacket): readonly Uint8Array[] {
    const session = this.sessions.get(packet.sessionId);
    if (!session?.keys) return [];
    const { keys, consoleSessionId: sessionId } = session;
    const message = this.#command(protocol.openSealed(packet, keys), packet);
    if (!message) return [];
    const sequence = ++session.sequence;
    return this.#out(protocol.encodeSealed({ payloadType: PAYLOAD.ipmi, sessionId, sequence, payload: message }, keys), 'session');
  }

  #plain(packet: protocol.PlainPacket): readonly Uint8Array[] {
    const session = this.sessions.get(packet.sessionId);
    const password = this.script.users[this.#challenged] ?? '';
    if (session) {
      const message = this.#command(protocol.openPlain(packet, password), packet);
      if (!message) return [];
      const content = { authType: session.authType, sequence: session.sequence++, sessionId: packet.sessionId, payload: message };
      return this.#out(protocol.encodePlain(content, password), 'session');
    }
    const request = protocol.decodeRequest(packet.payload);
    const reply = (completionCode: number, data: Uint8Array, authType: protocol.AuthType = AUTH_TYPE.none) => {
      const payload = protocol.encodeResponse({ ...request, netFn: request.netFn + 1, completionCode, data });
      return this.#out(protocol.encodePlain({ authType, sequence: 0, sessionId: packet.sessionId, payload }, password), 'plain');
    };
    if (protocol.isCommand(request, COMMAND.getAuthCapabilities)) {
      this.openings.push('capabilities');
      const isExtended = protocol.decodeAuthCapabilitiesRequest(request.data).isExtended && this.script.speaksIpmi2;
      const { authTypes } = this.script;
      const rest = { speaksIpmi15: true, hasBmcKey: false, isPerMessageOff: false };
      return reply(0, protocol.encodeAuthCapabilities({ channel: 1, authTypes, speaksIpmi2: isExtended, ...rest }));
    }
    if (protocol.isCommand(request, COMMAND.getSessionChallenge)) {
      const { user } = protocol.decodeChallengeRequest(request.data);
      this.openings.push('challenge');
      this.#challenged = user;
      if (this.script.users[user] === undefined) return reply(protocol.CHALLENGE_REFUSED.invalidUser, new Uint8Array());
      return reply(0, protocol.encodeChallenge({ temporarySessionId: 0x77, challenge: randomBytes(16) }));
    }
    const { authType, consoleSequence, privilege } = protocol.decodeActivationRequest(request.data);
    this.openings.push(`authentication ${authType}`);
    // As real ones do: nothing is said to a wrong password.
    if (!isGenuine(packet, password)) return [];
    if (this.script.activation !== 0) return reply(this.script.activation, new Uint8Array());
    this.sessions.set(0x78, { consoleSessionId: 0x78, authType: packet.authType, sequence: consoleSequence });
    return reply(0, protocol.encodeActivation({ authType, sessionId: 0x78, bmcSequence: 9, privilege }), packet.authType);
  }

  #command(message: Uint8Array, { sessionId, sequence: packetSequence }: { sessionId: number; sequence: number }): Uint8Array | undefined {
    const request = protocol.decodeRequest(message);
    const [name = ''] = Object.entries(COMMAND).find(([, command]) => protocol.isCommand(request, command)) ?? [];
    const seen = { name, data: [...request.data], sequence: request.sequence, packetSequence, sessionId };
    this.requests.push(seen);
    const scripted = this.script.answer(seen);
    if (scripted === 'silent') return undefined;
    if (name === 'closeSession') this.sessions.delete(sessionId);
    const usual = { getChassisStatus: [this.script.isOn ? 1 : 0, 0, 0], setSessionPrivilege: seen.data }[name] ?? [];
    const completionCode = typeof scripted === 'number' ? scripted : 0;
    const data = completionCode === 0 ? Uint8Array.from(Array.isArray(scripted) ? scripted : usual) : new Uint8Array();
    return protocol.encodeResponse({ ...request, netFn: request.netFn + 1, completionCode, data });
  }
}

function isGenuine(packet: protocol.PlainPacket, password: string): boolean {
  try {
    return protocol.openPlain(packet, password) === packet.payload;
  } catch {
    return false;
  }
}
