import {
  AUTH_TYPE,
  type AuthType,
  encodePlain,
  encodeRmcp,
  encodeSealed,
  openPlain,
  openSealed,
  PAYLOAD,
  type PlainPacket,
  PRIVILEGE,
  type SealedPacket,
  type SessionKeys,
} from '@sidero/plugin-ipmi/protocol';
import type { Account } from '../simulated-bmc.ts';
import { SequenceWindow } from './sequence-window.ts';

/** What packets of a session look like. */
export interface Seal {
  /** The IPMI message in a packet. @throws SIDERO_IPMI_UNPROVEN, SIDERO_IPMI_MALFORMED */
  open(packet: PlainPacket | SealedPacket): Uint8Array | undefined;
  /** The datagram with that IPMI message. */
  seal(message: Uint8Array, sequence: number): Uint8Array;
}

/** An open session, as the BMC has it. */
export class Session {
  readonly id: number;
  readonly account: Account;
  /** Highest level it may be raised to. */
  readonly limit: number;
  /** Sessions begin at the level of a user. */
  privilege: number;
  lastUsedMs = 0;
  /** The last request and its answer, as messages. */
  last: { readonly request: Uint8Array; readonly answer: Uint8Array } | undefined;
  readonly #window = new SequenceWindow();
  readonly #seal: Seal;
  #sequence: number;

  constructor(given: { id: number; account: Account; limit: number; seal: Seal; firstSequence?: number }) {
    this.id = given.id;
    this.account = given.account;
    this.limit = given.limit;
    this.privilege = Math.min(given.limit, PRIVILEGE.user);
    this.#seal = given.seal;
    this.#sequence = given.firstSequence ?? 1;
  }

  /** The message in a packet of this session; undefined when it came before. @throws SIDERO_IPMI_UNPROVEN, SIDERO_IPMI_MALFORMED */
  open(packet: PlainPacket | SealedPacket): Uint8Array | undefined {
    const message = this.#seal.open(packet);
    return message && this.#window.accepts(packet.sequence) ? message : undefined;
  }

  /** The datagram of an answer. */
  seal(message: Uint8Array): Uint8Array {
    const sequence = this.#sequence;
    this.#sequence = sequence === 0xffffffff ? 1 : sequence + 1;
    return this.#seal.seal(message, sequence);
  }
}

/** Packets of RMCP+: encrypted and signed. */
export function sealedBy(keys: SessionKeys, consoleSessionId: number): Seal {
  return {
    open: (packet) => (packet.version === '2.0' && packet.payloadType === PAYLOAD.ipmi ? openSealed(packet, keys) : undefined),
    seal: (payload, sequence) =>
      encodeRmcp({ class: 'ipmi', body: encodeSealed({ payloadType: PAYLOAD.ipmi, sessionId: consoleSessionId, sequence, payload }, keys) }),
  };
}

/** Packets of IPMI 1.5: with a code that needs the password, or with none. */
export function codedBy(authType: AuthType, { id, password }: { id: number; password: string }): Seal {
  const secret = authType === AUTH_TYPE.none ? '' : password;
  return {
    open: (packet) => (packet.version === '1.5' && packet.authType === authType ? openPlain(packet, secret) : undefined),
    seal: (payload, sequence) => encodeRmcp({ class: 'ipmi', body: encodePlain({ authType, sequence, sessionId: id, payload }, secret) }),
  };
}
