import { type BmcLogin, failure, type PowerDriver, type PowerSession, type Server } from '@sidero/core';
import { flagsOf } from './boot-flags.ts';
import type { PowerAction } from './chassis.ts';
import type { OrderAnswer, SimulatedBmc } from './simulated-bmc.ts';

export interface SimulatorDriverOptions {
  /** The BMC of a server; undefined leaves the server to other drivers. */
  readonly bmcOf: (server: Server) => SimulatedBmc | undefined;
  /** Default "simulator". */
  readonly name?: string;
  /** Whether servers must have a login, and it is checked. Default true. */
  readonly needsLogin?: boolean;
  /** How long an answer is waited for. Default 1000. */
  readonly timeoutMs?: number;
}

/** A power driver without a wire: every ability, and all that a BMC can do wrong but for spoiled packets, on the clock of the BMC. */
export function simulatorDriver(options: SimulatorDriverOptions): PowerDriver {
  const { bmcOf, name = 'simulator', needsLogin = true } = options;
  return {
    name,
    needsLogin,
    claims: (server) => bmcOf(server) !== undefined,
    deviceOf: ({ metadata }) => `BMC of ${metadata.name}`,
    open: async (server, { login, signal }) => {
      const session = new SimulatorSession(bmcOf(server)!, { about: { server: server.metadata.name, driver: name }, ...options });
      await session.logIn(login, signal);
      return session;
    },
  };
}

interface About {
  readonly server: string;
  readonly driver: string;
}

type Problem = Parameters<typeof failure>[0] & `SIDERO_BMC_${'AUTH' | 'BUSY' | 'FAULT' | 'UNREACHABLE' | 'UNSUPPORTED'}`;

let sessions = 0;

class SimulatorSession implements Required<PowerSession> {
  readonly #bmc: SimulatedBmc;
  readonly #about: About;
  readonly #timeoutMs: number;
  readonly #needsLogin: boolean;
  readonly #name = `in-process ${++sessions}`;
  #login: BmcLogin | undefined;

  constructor(bmc: SimulatedBmc, { about, timeoutMs = 1000, needsLogin = true }: SimulatorDriverOptions & { about: About }) {
    this.#bmc = bmc;
    this.#about = about;
    this.#timeoutMs = timeoutMs;
    this.#needsLogin = needsLogin;
  }

  async logIn(login: BmcLogin | undefined, signal: AbortSignal): Promise<void> {
    this.#login = login;
    await this.#carry(signal, () => {
      if (this.#needsLogin && (!login || this.#bmc.account(login.user)?.password !== login.pass))
        throw this.#error('SIDERO_BMC_AUTH', 'wrong password');
      const obstacle = this.#bmc.obstacle();
      if (obstacle === 'full') throw this.#error('SIDERO_BMC_BUSY', 'all its sessions are taken');
      if (obstacle) throw this.#error('SIDERO_BMC_AUTH', 'wrong password');
      this.#bmc.sessions.add(this.#name);
    });
  }

  on(signal: AbortSignal): Promise<void> {
    return this.#order('on', signal);
  }

  off(signal: AbortSignal): Promise<void> {
    return this.#order('off', signal);
  }

  cycle(signal: AbortSignal): Promise<void> {
    return this.#order('cycle', signal);
  }

  soft(signal: AbortSignal): Promise<void> {
    return this.#order('soft', signal);
  }

  async isOn(signal: AbortSignal): Promise<boolean> {
    const isOn = await this.#command(signal, () => this.#bmc.readPower());
    if (isOn === undefined) throw this.#error('SIDERO_BMC_FAULT', 'it will not say whether the machine is on');
    return isOn;
  }

  async networkBootOnce(mode: 'uefi' | 'bios', signal: AbortSignal): Promise<void> {
    const flags = flagsOf({ device: 'network', mode, isPersistent: false });
    this.#accept(await this.#command(signal, () => this.#bmc.setBootFlags(flags)), 'a network boot');
    const kept = await this.#command(signal, () => this.#bmc.bootFlags());
    if (!Buffer.from(kept).equals(flags)) throw this.#error('SIDERO_BMC_FAULT', 'the boot flags read back are not those that were set');
  }

  async probe(signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    return await this.#command(signal, () => ({ 'Boot override': 'network, once', Sessions: `${this.#bmc.sessionSlots}` }));
  }

  async changePassword(pass: string, signal: AbortSignal): Promise<void> {
    await this.#command(signal, () => {
      const account = this.#login && this.#bmc.account(this.#login.user);
      if (!account) throw this.#error('SIDERO_BMC_UNSUPPORTED', 'nobody is logged in');
      account.password = pass;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bmc.sessions.delete(this.#name);
  }

  async #order(action: PowerAction, signal: AbortSignal): Promise<void> {
    this.#accept(await this.#command(signal, () => this.#bmc.order(action)), action);
  }

  #accept(answer: OrderAnswer, what: string): void {
    if (answer === 'refused') throw this.#error('SIDERO_BMC_FAULT', `${what} was refused`);
    if (answer !== 'ok') throw this.#error('SIDERO_BMC_UNSUPPORTED', `${what} is not possible in the present state`);
  }

  #command<T>(signal: AbortSignal, act: () => T): Promise<T> {
    return this.#carry(signal, () => {
      this.#bmc.forgetsSession();
      if (!this.#bmc.sessions.has(this.#name)) throw this.#error('SIDERO_BMC_FAULT', 'it has forgotten the session');
      return act();
    });
  }

  /** There and back again, as far as the BMC's luck goes. What is late beyond the time-out was done all the same. */
  async #carry<T>(signal: AbortSignal, act: () => T): Promise<T> {
    signal.throwIfAborted();
    const { clock } = this.#bmc;
    const { isRequestLost, isAnswerLost, afterMs } = this.#bmc.callFate();
    if (isRequestLost) await this.#nothing(signal);
    const result = act();
    if (isAnswerLost || afterMs > this.#timeoutMs) await this.#nothing(signal);
    if (afterMs > 0) await clock.pause(afterMs, signal);
    return result;
  }

  async #nothing(signal: AbortSignal): Promise<never> {
    await this.#bmc.clock.pause(this.#timeoutMs, signal);
    throw this.#error('SIDERO_BMC_UNREACHABLE', `no answer in ${this.#timeoutMs} ms`);
  }

  #error(code: Problem, problem: string): Error {
    return failure(code, { ...this.#about, device: 'the simulator', problem });
  }
}
