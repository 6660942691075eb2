import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '@sidero/core';
import { type Command, COMMAND, isCommand } from '../wire/commands.ts';
import { COMPLETION, hex } from '../wire/completion-codes.ts';
import { decodeResponse, encodeRequest, type IpmiResponse } from '../wire/lan-message.ts';
import { PRIVILEGE } from '../wire/rakp.ts';
import { encodeCloseSession, PRIVILEGE_REFUSED } from '../wire/session-commands.ts';
import { bmcFailure, completionFailure, isPassing, isWorthRepeating, understood } from './bmc-failure.ts';
import { type DropReason, Exchange } from './exchange.ts';
import { openLan } from './lan-session.ts';
import { openLanplus } from './lanplus-session.ts';
import type { Session, SessionTerms } from './session.ts';
import { type Endpoint, openUdp, type Udp } from './udp.ts';

/** A BMC forgets a session after 60 s of silence (IPMI 2.0, 6.12.15); sooner than that we open another one. */
const IDLE_LIMIT_MS = 50_000;
/** Attempts in a session that may be forgotten, before another one is opened. */
const ATTEMPTS_BEFORE_REOPENING = 2;
const BUSY_RETRIES = 3;
const BUSY_PAUSE_MS = 250;
/** How long the answer to Close Session is waited for. */
const FAREWELL_MS = 200;

/** For commands whose answer has no data that matters. */
export const nothing = (): void => undefined;

/** With what a connection is made. */
export interface ConnectionTerms extends SessionTerms {
  readonly endpoint: Endpoint;
  /** As `spec.bmc.interface` has it. */
  readonly interface: 'lanplus' | 'lan';
  /** Told of each packet that is dropped. */
  dropped(reason: DropReason): void;
  /** Silence after which the session is taken for forgotten. Default 50,000. */
  readonly idleLimitMs?: number;
}

/** What is asked of the BMC, in a session. */
export interface CommandCall {
  readonly command: Command;
  /** For people: "power on". */
  readonly what: string;
  readonly data?: Uint8Array;
  readonly signal: AbortSignal;
}

/** A login to one BMC that lasts: its session is opened anew when the BMC has forgotten it. */
export class BmcConnection implements AsyncDisposable {
  readonly #terms: ConnectionTerms;
  readonly #exchange: Exchange;
  readonly #udp: Udp;
  #session: Session | undefined;
  #sequence = 0;
  #heardAt = 0;

  private constructor(terms: ConnectionTerms, exchange: Exchange, udp: Udp) {
    this.#terms = terms;
    this.#exchange = exchange;
    this.#udp = udp;
  }

  /** @throws SIDERO_BMC_AUTH, SIDERO_BMC_BUSY, SIDERO_BMC_FAULT, SIDERO_BMC_UNREACHABLE, SIDERO_BMC_UNSUPPORTED */
  static async open(terms: ConnectionTerms, signal: AbortSignal): Promise<BmcConnection> {
    const exchange = new Exchange((reason) => terms.dropped(reason));
    const udp = await openUdp(terms.endpoint, { hear: (datagram) => exchange.hear(datagram), signal }).catch((thrown: unknown) => {
      signal.throwIfAborted();
      throw bmcFailure(terms.subject, 'SIDERO_BMC_UNREACHABLE', messageOf(thrown));
    });
    exchange.use(udp);
    const connection = new BmcConnection(terms, exchange, udp);
    try {
      await connection.#open(terms.waitsMs, signal);
      return connection;
    } catch (thrown) {
      await connection[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** The session in use. */
  get session(): Session | undefined {
    return this.#session;
  }

  /**
   * What `decode` makes of the answer's data. For what may be done twice: it is repeated while the BMC is silent or busy.
   * @throws what `open` throws
   */
  async command<T>(call: CommandCall, decode: (data: Uint8Array) => T): Promise<T> {
    const response = await this.request(call);
    if (response.completionCode !== COMPLETION.ok) throw completionFailure(this.#terms.subject, call.what, response.completionCode);
    return understood(this.#terms.subject, call.what, () => decode(response.data));
  }

  /** As `command`; undefined when the BMC refuses, which is how it says that it lacks something. */
  async commandIfKnown<T>(call: CommandCall, decode: (data: Uint8Array) => T): Promise<T | undefined> {
    const response = await this.request(call);
    return response.completionCode === COMPLETION.ok ? understood(this.#terms.subject, call.what, () => decode(response.data)) : undefined;
  }

  /** As `command`, but a completion code is no error. */
  async request(call: CommandCall): Promise<IpmiResponse> {
    return this.#again(call, isWorthRepeating, async () => {
      const response = await this.#askOrReopen(call);
      if (!response) throw bmcFailure(this.#terms.subject, 'SIDERO_BMC_UNREACHABLE', `${call.what}: ${this.#exchange.silence(this.#terms.waitsMs)}`);
      return response;
    });
  }

  /** As `request`, for what must not be done twice: sent once. Undefined when no answer came, so that nobody knows whether it was done. */
  async requestOnce(call: CommandCall): Promise<IpmiResponse | undefined> {
    const waitMs = this.#terms.waitsMs.reduce((sum, each) => sum + each, 0);
    await this.#openIfNeeded(call.signal);
    return this.#again(call, isPassing, () => this.#ask(call, [waitMs]));
  }

  async #again<T extends IpmiResponse | undefined>({ signal }: CommandCall, isDue: (code: number) => boolean, attempt: () => Promise<T>): Promise<T> {
    for (let retry = 0; ; retry++) {
      const response = await attempt();
      if (!response || !isDue(response.completionCode) || retry === BUSY_RETRIES) return response;
      await pause(BUSY_PAUSE_MS * 2 ** retry, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  async #askOrReopen(call: CommandCall): Promise<IpmiResponse | undefined> {
    const { waitsMs } = this.#terms;
    await this.#openIfNeeded(call.signal);
    const response = await this.#ask(call, waitsMs.slice(0, ATTEMPTS_BEFORE_REOPENING));
    if (response) return response;
    // A BMC is silent to sessions that it has forgotten.
    const rest = waitsMs.slice(ATTEMPTS_BEFORE_REOPENING);
    await this.#open(rest.length > 0 ? rest : waitsMs, call.signal);
    return this.#ask(call, waitsMs);
  }

  async #openIfNeeded(signal: AbortSignal): Promise<void> {
    const { waitsMs, idleLimitMs = IDLE_LIMIT_MS } = this.#terms;
    if (!this.#session || performance.now() - this.#heardAt > idleLimitMs) await this.#open(waitsMs, signal);
  }

  async #open(firstWaitsMs: readonly number[], signal: AbortSignal): Promise<void> {
    this.#farewell();
    const open = this.#terms.interface === 'lan' ? openLan : openLanplus;
    this.#session = await open(this.#exchange, { ...this.#terms, firstWaitsMs }, signal);
    this.#heardAt = performance.now();
    await this.#raisePrivilege(signal);
  }

  // A session begins as a user's, whatever was asked for when it was opened (6.8).
  async #raisePrivilege(signal: AbortSignal): Promise<void> {
    const { subject, privilege, waitsMs } = this.#terms;
    const what = `privilege ${privilege}`;
    const call = { command: COMMAND.setSessionPrivilege, what, data: Uint8Array.of(PRIVILEGE[privilege]), signal };
    const response = await this.#ask(call, waitsMs);
    if (!response) throw bmcFailure(subject, 'SIDERO_BMC_UNREACHABLE', `${what}: ${this.#exchange.silence(waitsMs)}`);
    const code = response.completionCode;
    if (code === PRIVILEGE_REFUSED.notForUser || code === PRIVILEGE_REFUSED.exceedsLimit) {
      throw bmcFailure(subject, 'SIDERO_BMC_AUTH', `the user may not have the privilege ${privilege} (${hex(code)})`);
    }
    if (code !== COMPLETION.ok) throw completionFailure(subject, what, code);
  }

  async #ask({ command, data = new Uint8Array(), signal }: CommandCall, waitsMs: readonly number[]): Promise<IpmiResponse | undefined> {
    const session = this.#session!;
    // Repetitions keep this number, by which a BMC may know them.
    const sequence = this.#sequence++ & 0x3f;
    const message = encodeRequest({ ...command, data, sequence });
    const response = await this.#exchange.ask<IpmiResponse>({
      packet: () => session.pack(message),
      read: (packet) => {
        const unpacked = session.unpack(packet);
        if (typeof unpacked === 'string') return unpacked;
        const answer = decodeResponse(unpacked);
        return isCommand(answer, command) && answer.sequence === sequence ? { answer } : 'unexpected';
      },
      waitsMs,
      signal,
    });
    if (response) this.#heardAt = performance.now();
    return response;
  }

  // BMCs have few sessions: one that we leave is told so.
  #farewell(): void {
    const session = this.#session;
    this.#session = undefined;
    if (!session) return;
    const data = encodeCloseSession(session.id);
    this.#exchange.tell(session.pack(encodeRequest({ ...COMMAND.closeSession, data, sequence: this.#sequence++ & 0x3f })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = this.#session;
    if (session) {
      const call = { command: COMMAND.closeSession, what: 'close', data: encodeCloseSession(session.id), signal: new AbortController().signal };
      await this.#ask(call, [FAREWELL_MS]);
    }
    this.#session = undefined;
    await this.#udp[Symbol.asyncDispose]();
  }
}
