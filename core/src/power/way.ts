import { failure } from '../errors.ts';
import type { BmcLogin, NetworkBootMode, PowerDriver, PowerSession } from '../registries.ts';
import type { Server } from '../resources/kinds.ts';
import { deviceNameOf, type Devices } from './devices.ts';
import type { AboutDevice } from './power-errors.ts';

/** What a way is made of. */
export interface WayOptions {
  readonly server: Server;
  readonly driver: PowerDriver;
  readonly devices: Devices;
  readonly signal: AbortSignal;
  /** Asked only when something is to be said. */
  login(): Promise<BmcLogin | undefined>;
}

/** How something is said, where it is not as usual. */
export type Manner = { readonly repeatable?: boolean; readonly alone?: boolean; readonly login?: BmcLogin };

type Say<T> = (session: PowerSession, signal: AbortSignal) => Promise<T>;

const REPEATABLE: Manner = { repeatable: true };
const has = (work: Promise<void> | undefined): Promise<boolean> => (work ? work.then(() => true) : Promise.resolve(false));

/** One driver's way to one Server. Verbs throw what drivers throw; `false` is: this driver has no such verb. */
export class Way {
  readonly about: AboutDevice;
  readonly #options: WayOptions;

  constructor(options: WayOptions) {
    const { driver, server } = options;
    this.#options = options;
    this.about = { server: server.metadata.name, driver: driver.name, device: deviceNameOf(driver, server) };
  }

  /** Undefined: this driver cannot tell. */
  isOn(): Promise<boolean | undefined> {
    return this.tell('isOn', async (session, signal) => session.isOn?.(signal), REPEATABLE);
  }

  on(): Promise<void> {
    return this.tell('on', (session, signal) => session.on(signal), REPEATABLE);
  }

  off(): Promise<boolean> {
    return this.tell('off', (session, signal) => has(session.off?.(signal)), REPEATABLE);
  }

  // Not repeatable, as the next: it may have been done although no answer came.
  cycle(): Promise<boolean> {
    return this.tell('cycle', (session, signal) => has(session.cycle?.(signal)));
  }

  soft(): Promise<boolean> {
    return this.tell('soft', (session, signal) => has(session.soft?.(signal)));
  }

  networkBootOnce(mode: NetworkBootMode): Promise<boolean> {
    return this.tell('networkBootOnce', (session, signal) => has(session.networkBootOnce?.(mode, signal)), REPEATABLE);
  }

  async tell<T>(verb: string, run: Say<T>, manner: Manner = {}): Promise<T> {
    const { server, driver, devices, signal, login } = this.#options;
    const given = { login: await login(), ...manner };
    return devices.of(driver, server).command({ server, driver, verb, signal, run, ...given });
  }

  /** Lets a login be tried that was refused before: it has become right. */
  forgive(login: BmcLogin): void {
    this.#options.devices.of(this.#options.driver, this.#options.server).forgive(this.#options.server, login);
  }

  /** Closes the session that is kept with the device. */
  close(): Promise<void> {
    return this.#options.devices.of(this.#options.driver, this.#options.server).close(this.#options.server);
  }

  unsupported(problem: string): Error {
    return failure('SIDERO_BMC_UNSUPPORTED', { ...this.about, problem });
  }

  fault(problem: string): Error {
    return failure('SIDERO_BMC_FAULT', { ...this.about, problem });
  }
}
