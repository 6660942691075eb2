import { failure, type SideroError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { BmcLogin, PowerDriver, PowerSession } from '../registries.ts';
import type { Server } from '../resources/kinds.ts';
import { Breaker } from './breaker.ts';
import { type Clock, withDeadline } from './clock.ts';
import { CommandRate } from './command-rate.ts';
import { identityOf, KeptSessions } from './kept-sessions.ts';
import { LoginLocks } from './login-locks.ts';
import { type AboutDevice, problemOf, resultOf } from './power-errors.ts';
import type { PowerMeters } from './power-meters.ts';
import { Turns } from './turns.ts';

/** How devices are treated. */
export interface DevicePolicy {
  readonly clock: Clock;
  readonly log: Logger;
  readonly meters: PowerMeters;
  readonly commandsPerSecond: number;
  /** Longest time a driver gets for one command, or to open a session. */
  readonly commandMs: number;
  /** How long a session stays open unused. */
  readonly idleMs: number;
}

/** Something to be said to a device, over a session with it. */
export interface PowerCommand<T> {
  readonly server: Server;
  readonly driver: PowerDriver;
  readonly login: BmcLogin | undefined;
  /** For metrics and logs. */
  readonly verb: string;
  readonly signal: AbortSignal;
  /** Whether it may be sent again, over a new session, when one that was kept open fails under it. Default false. */
  readonly repeatable?: boolean;
  /** Over a session of its own, closed at the end: proves that the login holds. Default false. */
  readonly alone?: boolean;
  run(session: PowerSession, signal: AbortSignal): Promise<T>;
}

const CLOSE_MS = 2000;

/** One device, as one driver sees it: it is told one thing at a time, not too often, and not at all while it does not answer. */
export class Device {
  readonly #about: Omit<AboutDevice, 'server'>;
  readonly #policy: DevicePolicy;
  readonly #turns = new Turns();
  readonly #rate: CommandRate;
  readonly #breaker = new Breaker();
  readonly #locks = new LoginLocks();
  readonly #kept: KeptSessions;

  constructor(about: Omit<AboutDevice, 'server'>, policy: DevicePolicy) {
    this.#about = about;
    this.#policy = policy;
    this.#rate = new CommandRate(policy.commandsPerSecond);
    this.#kept = new KeptSessions({ ...policy, turns: this.#turns, dispose: (session) => this.#dispose(session) });
  }

  /**
   * @throws what drivers throw; SIDERO_BMC_UNREACHABLE and SIDERO_BMC_AUTH also without asking the device, while it is spared, and
   * SIDERO_BMC_UNREACHABLE when the driver does not settle in time
   */
  async command<T>(command: PowerCommand<T>): Promise<T> {
    this.#refuse(command);
    const done = await this.#turns.take(command.signal);
    try {
      // Those before us may have found out what spares us the try.
      this.#refuse(command);
      return await this.#send(command);
    } finally {
      done();
    }
  }

  /** Nothing is kept, under way or remembered: a new one would do as well. */
  get isForgettable(): boolean {
    const nowMs = this.#nowMs();
    return this.#turns.isFree && this.#kept.isEmpty && this.#locks.isEmpty(nowMs) && !this.#breaker.matters(nowMs);
  }

  /** It is no longer asked: nor is it counted among those that do not answer. */
  forget(): void {
    if (this.#breaker.isOpen) this.#policy.meters.breakers(this.#about.driver, -1);
  }

  /** A login that was refused may be tried at once. */
  forgive(server: Server, login: BmcLogin): void {
    this.#locks.forget(identityOf(server, login));
  }

  /** Closes the sessions of a Server; of all Servers when none is named. */
  async close(server?: Server): Promise<void> {
    await this.#kept.close(server);
  }

  async #send<T>(command: PowerCommand<T>): Promise<T> {
    const kept = command.alone ? undefined : this.#kept.of(command.server, command.login);
    if (!kept) return this.#sendAnew(command);
    try {
      return await this.#sendOver(kept, command);
    } catch (thrown) {
      const isStale = ['fault', 'unreachable'].includes(this.#classOf(thrown, command));
      if (!isStale || !command.repeatable) throw thrown;
      this.#refuse(command);
      return this.#sendAnew(command);
    }
  }

  async #sendAnew<T>(command: PowerCommand<T>): Promise<T> {
    // Some have room for one session only.
    await this.#kept.close(command.server);
    const session = await this.#open(command);
    if (!command.alone) {
      this.#kept.keep(session, command);
      return this.#sendOver(session, command);
    }
    try {
      return await this.#told(command, command.verb, (signal) => command.run(session, signal));
    } finally {
      await this.#dispose(session);
    }
  }

  async #sendOver<T>(session: PowerSession, command: PowerCommand<T>): Promise<T> {
    try {
      return await this.#told(command, command.verb, (signal) => command.run(session, signal));
    } catch (thrown) {
      // Cut short, or failed: nobody knows what such a session is good for. Who breaks off does not wait for its end.
      const how = this.#classOf(thrown, command);
      const dropped = ['busy', 'unsupported'].includes(how) ? undefined : this.#kept.drop(session);
      if (how !== 'aborted') await dropped;
      throw thrown;
    }
  }

  async #open(command: PowerCommand<unknown>): Promise<PowerSession> {
    const { driver, server, login } = command;
    let opening: Promise<PowerSession> | undefined;
    try {
      const session = await this.#told(command, 'open', (signal) => (opening = driver.open(server, { login, signal })));
      this.#policy.meters.sessions(driver.name, 1);
      return session;
    } catch (thrown) {
      // It may still open, after all; nobody wants it then.
      void opening?.then((late) => late[Symbol.asyncDispose]()).catch(() => undefined);
      throw thrown;
    }
  }

  // One exchange with the device: in time, counted, and with what it tells of the device remembered.
  async #told<T>(command: PowerCommand<unknown>, action: string, exchange: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, log, meters, commandMs: ms } = this.#policy;
    const { signal, login } = command;
    const about = { ...this.#about, server: command.server.metadata.name };
    const waitMs = this.#rate.waitMs(this.#nowMs());
    if (waitMs > 0) await clock.pause(waitMs, signal);
    const startedMs = this.#nowMs();
    this.#rate.started(startedMs);
    const late = () => failure('SIDERO_BMC_UNREACHABLE', { ...about, problem: `no end of "${action}" in ${ms} ms` });
    const ended = (result: 'ok' | 'aborted' | ReturnType<typeof resultOf>, problem?: SideroError) => {
      const of = { driver: about.driver, action, result };
      meters.command(of);
      meters.took({ driver: about.driver, action }, (this.#nowMs() - startedMs) / 1000);
      log.debug({ ...about, action, result, ms: this.#nowMs() - startedMs, ...(problem && { code: problem.code }) }, 'power command');
    };
    try {
      const answer = await withDeadline({ clock, ms, signal, late }, async (inTime) => exchange(inTime));
      this.#learn('ok');
      ended('ok');
      return answer;
    } catch (thrown) {
      if (signal.aborted) {
        ended('aborted');
        throw signal.reason;
      }
      const problem = problemOf(thrown, about, login);
      this.#learn(resultOf(problem));
      if (problem.code === 'SIDERO_BMC_AUTH') this.#lock(problem, command);
      ended(resultOf(problem), problem);
      throw problem;
    }
  }

  #lock({ details, message }: SideroError, { server, login }: PowerCommand<unknown>): void {
    const { problem = message } = details;
    this.#locks.refused(identityOf(server, login), { problem: String(problem), nowMs: this.#nowMs() });
  }

  #learn(result: ReturnType<typeof resultOf>): void {
    const nowMs = this.#nowMs();
    const wasOpen = this.#breaker.isOpen;
    if (result === 'unreachable') this.#breaker.wasSilent(nowMs);
    else this.#breaker.answered();
    if (wasOpen !== this.#breaker.isOpen) this.#policy.meters.breakers(this.#about.driver, wasOpen ? -1 : 1);
  }

  #refuse({ server, login, verb, signal }: PowerCommand<unknown>): void {
    signal.throwIfAborted();
    const about = { ...this.#about, server: server.metadata.name };
    const refuse = (code: 'SIDERO_BMC_AUTH' | 'SIDERO_BMC_UNREACHABLE', problem: string, until: Date): never => {
      this.#policy.meters.command({ driver: about.driver, action: verb, result: 'refused' });
      throw failure(code, { ...about, problem, until: until.toISOString() });
    };
    const silentUntil = this.#breaker.refusesUntil(this.#nowMs());
    if (silentUntil) {
      const problem = `it was silent ${this.#breaker.silences} times in a row and is not asked again before ${silentUntil.toISOString()}`;
      refuse('SIDERO_BMC_UNREACHABLE', problem, silentUntil);
    }
    const lock = this.#locks.of(identityOf(server, login), this.#nowMs());
    if (!lock) return;
    // In the words of the device, each time the same: a text that tells the time would be a write and an Event for each try.
    refuse('SIDERO_BMC_AUTH', lock.problem, lock.until);
  }

  #classOf(thrown: unknown, { server, login, signal }: PowerCommand<unknown>): string {
    if (signal.aborted) return 'aborted';
    return resultOf(problemOf(thrown, { ...this.#about, server: server.metadata.name }, login));
  }

  // A BMC with a single session needs the old one closed before the next; one that is dead must not hold anybody up.
  async #dispose(session: PowerSession): Promise<void> {
    const { clock, meters } = this.#policy;
    meters.sessions(this.#about.driver, -1);
    const deadline = { clock, ms: CLOSE_MS, signal: new AbortController().signal, late: () => new Error('not closed in time') };
    await withDeadline(deadline, async () => session[Symbol.asyncDispose]()).catch(() => undefined);
  }

  #nowMs(): number {
    return this.#policy.clock.now().getTime();
  }
}
