import { seededRandom, type Random } from '../random.ts';
import { decodeFlags, NO_FLAGS, overrideOf } from './boot-flags.ts';
import { type Chassis, ChassisControl, MemoryChassis, type PowerAction } from './chassis.ts';
import { type BmcFaults, callFate, type CallFate, type OrderFate, orderFate } from './faults.ts';
import { BMC_USERS, type BmcUser } from './users.ts';

/** Time as a simulated BMC has it. The one of a test may be moved by hand. */
export interface BmcClock {
  now(): Date;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

export interface SimulatedBmcOptions {
  /** The machine whose power it has. Default: one that only remembers. */
  readonly chassis?: Chassis;
  /** Default `BMC_USERS`. */
  readonly users?: readonly BmcUser[];
  /** Default none. */
  readonly faults?: BmcFaults;
  /** One seed, one course of faults. Default "bmc". */
  readonly seed?: string | number;
  readonly clock?: BmcClock;
  /** How many sessions it has. Default 8. */
  readonly sessionSlots?: number;
}

/** What it says to an order about the chassis. */
export type OrderAnswer = 'ok' | 'refused' | 'not in this state';

/** A user as the BMC keeps it. */
export interface Account {
  name: string;
  password: string;
  privilege: NonNullable<BmcUser['privilege']>;
  isEnabled: boolean;
}

/** How long boot flags are valid when nothing is switched, unless the BMC was told to keep them (IPMI 2.0, table 28-14). */
const FLAGS_VALID_MS = 60_000;

const MACHINE_CLOCK: BmcClock = {
  now: () => new Date(),
  pause: (ms, signal) =>
    new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', stop);
        resolve();
      }, ms);
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
    }),
};

/**
 * What is behind any BMC of ours, whatever it is spoken to in: the power switch, boot flags, accounts, and everything that can go wrong with
 * them. Faults may be changed at any time.
 */
export class SimulatedBmc implements Disposable {
  faults: BmcFaults;
  readonly control: ChassisControl;
  /** By user number, from 1 on; the first one is the nameless one. */
  readonly accounts: Account[];
  /** Open sessions, by a name of their own. */
  readonly sessions = new Set<string>();
  readonly sessionSlots: number;
  readonly clock: BmcClock;
  readonly random: Random;
  /** Keeps boot flags for longer than a minute. */
  keepsFlags = false;
  #flags: Uint8Array = NO_FLAGS;
  #flagsSince = 0;
  readonly #stop = new AbortController();

  constructor({
    chassis = new MemoryChassis(),
    users = BMC_USERS,
    faults = {},
    seed = 'bmc',
    clock = MACHINE_CLOCK,
    sessionSlots = 8,
  }: SimulatedBmcOptions = {}) {
    this.control = new ChassisControl(chassis);
    this.faults = faults;
    this.clock = clock;
    this.sessionSlots = sessionSlots;
    this.random = seededRandom('bmc', seed);
    const named = users.map(({ name, password, privilege = 'administrator' }) => ({ name, password, privilege, isEnabled: true }));
    this.accounts = [{ name: '', password: '', privilege: 'user', isEnabled: false }, ...named];
  }

  /** The enabled account of that name. */
  account(name: string): Account | undefined {
    return this.accounts.find((account) => account.isEnabled && account.name === name);
  }

  /** Why somebody who knows name and password does not get in; undefined when he does. */
  obstacle(): 'full' | 'refused' | undefined {
    if (this.random.chance(this.faults.full ?? 0) || this.sessions.size >= this.sessionSlots) return 'full';
    return this.random.chance(this.faults.refusedLogin ?? 0) ? 'refused' : undefined;
  }

  /** Whether it has just forgotten all its sessions. */
  forgetsSession(): boolean {
    const forgets = this.random.chance(this.faults.sessionReset ?? 0);
    if (forgets) this.sessions.clear();
    return forgets;
  }

  callFate(): CallFate {
    return callFate(this.faults, this.random);
  }

  /** Whether the machine is on, as it says; undefined when it will not say. */
  readPower(): boolean | undefined {
    if (this.random.chance(this.faults.refused ?? 0)) return undefined;
    return this.control.isOn() !== this.random.chance(this.faults.wrongState ?? 0);
  }

  /** Takes an order. Cycle and soft are for machines that are on (IPMI 2.0, 28.3). The effect may come later, or never. */
  order(action: PowerAction): OrderAnswer {
    const fate = orderFate(this.faults, this.random);
    if (fate.kind === 'refused') return 'refused';
    if ((action === 'cycle' || action === 'soft') && !this.control.isOn()) return 'not in this state';
    if (fate.kind === 'done') this.#carryOut(action, fate);
    return 'ok';
  }

  /** Takes boot flags: five bytes (IPMI 2.0, table 28-14, parameter 5). */
  setBootFlags(flags: Uint8Array): OrderAnswer {
    const fate = orderFate(this.faults, this.random);
    if (fate.kind === 'refused') return 'refused';
    if (fate.kind === 'silent') return 'ok';
    this.#flags = flags.slice(0, 5);
    this.#flagsSince = this.clock.now().getTime();
    return 'ok';
  }

  /** The five bytes as they are now. */
  bootFlags(): Uint8Array {
    const isOld = !this.keepsFlags && this.clock.now().getTime() - this.#flagsSince > FLAGS_VALID_MS;
    if (isOld && !decodeFlags(this.#flags).isPersistent) this.#flags = NO_FLAGS;
    return this.#flags.slice();
  }

  /** Nothing that was still to come will. */
  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  #carryOut(action: PowerAction, { afterMs, undoneAfterMs }: Extract<OrderFate, { kind: 'done' }>): void {
    if (afterMs > 0) this.#later(afterMs, () => this.#switch(action));
    else this.#switch(action);
    const undo = action === 'on' || action === 'cycle' ? 'off' : 'on';
    if (undoneAfterMs !== undefined) this.#later(undoneAfterMs, () => this.#switch(undo));
  }

  #switch(action: PowerAction): void {
    if (action === 'cycle' || (action === 'on' && !this.control.isOn())) this.control.override = overrideOf(this.#takeFlags());
    // Nobody is here to hear it: what the machine throws must end the run, not pass unseen.
    this.control.power(action).catch((thrown: unknown) => {
      throw thrown;
    });
  }

  #takeFlags(): Uint8Array {
    const flags = this.bootFlags();
    if (!decodeFlags(flags).isPersistent) this.#flags = NO_FLAGS;
    return this.random.chance(this.faults.forgottenBoot ?? 0) ? NO_FLAGS : flags;
  }

  #later(ms: number, act: () => void): void {
    this.clock.pause(ms, this.#stop.signal).then(act, () => undefined); // it rejects when this BMC is gone
  }
}
