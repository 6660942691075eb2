import { failure, type SideroError } from '../errors.ts';
import type { Wire } from '../hooks.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { BmcLogin, NetworkBootMode, PowerDriver } from '../registries.ts';
import type { ResourceClient } from '../resources/client.ts';
import type { Server } from '../resources/kinds.ts';
import { type Clock, realClock } from './clock.ts';
import { Devices } from './devices.ts';
import type { Evidence } from './evidence.ts';
import { climb } from './ladder.ts';
import { namesLogin, readLogin } from './login.ts';
import { createPowerMeters } from './power-meters.ts';
import { probeAll, readPower } from './readings.ts';
import { rotate } from './rotate.ts';
import { createOwnerCheck } from './device-owner.ts';
import { Way } from './way.ts';

/** What a device says of a machine's power. */
export type PowerState = 'on' | 'off' | 'unknown';

/** One look at a machine's power. A device that fails is a value here, never a throw. */
export interface PowerReading {
  readonly state: PowerState;
  /** The driver that could tell; undefined when none claims the server or none could. */
  readonly driver: string | undefined;
  /** Why the state is unknown although a driver could tell. Undefined when it is known, and when no driver that claims the server can tell it. */
  readonly problem: SideroError | undefined;
  readonly at: Date;
}

/** `network-boot` is: from the network at the next boot, once, and then cycle, or on when it is off. */
export type PowerAction = 'on' | 'off' | 'cycle' | 'soft' | 'network-boot';

/** What is to be done to a machine's power. */
export interface PowerOrder {
  readonly action: PowerAction;
  /** With `network-boot`. Default: `spec.pxeMode`, else the site's. */
  readonly mode?: NetworkBootMode;
  /** Only this driver. Default: those that claim the server, one after the other, until one does it. */
  readonly driver?: string;
  /** `network-boot` leaves a machine that turns out to be on alone, and says so: for one that may be at work. Default false. */
  readonly onlyWhenOff?: boolean;
}

/** What was done, and how it is known. */
export interface PowerProof {
  readonly driver: string;
  /** For Events and logs: "it was off, and is on 2.1 s later; network boot once (uefi) was read back". */
  readonly detail: string;
  /** Drivers that were tried before, and why each failed. */
  readonly failed: readonly { readonly driver: string; readonly problem: SideroError }[];
}

/** A contact of a machine with us: what proves that it really boots. */
export interface Sighting {
  readonly wire: Wire;
  readonly at: Date;
}

/** The power of servers, whatever driver does it. One command at a time per device; devices never wait for each other. */
export interface Power {
  /** Names of the drivers that claim a server, in config order; empty: nobody manages its power. */
  drivers(server: Server): readonly string[];
  read(server: Server, signal: AbortSignal): Promise<PowerReading>;
  /**
   * Does it and proves it, by reading the state back until it is as wished. That the machine boots from the network takes minutes:
   * `seen` tells. Whether it may be done is the caller's judgement.
   * @throws SIDERO_BMC_AUTH, SIDERO_BMC_BUSY, SIDERO_BMC_FAULT, SIDERO_BMC_LOGIN_MISSING, SIDERO_BMC_SHARED, SIDERO_BMC_UNREACHABLE,
   * SIDERO_BMC_UNSUPPORTED, SIDERO_POWER_UNMANAGED
   */
  act(server: Server, order: PowerOrder, signal: AbortSignal): Promise<PowerProof>;
  /** What each driver's device really supports, by driver. */
  probe(server: Server, signal: AbortSignal): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>>;
  /**
   * Gives the user of `spec.bmc` a new password, on the device and in the Secret, and proves that it logs in. What a crash left half done is
   * finished by the next call. Gives a sentence for people.
   * @throws SIDERO_BMC_LOGIN_MISSING, SIDERO_BMC_ROTATE_REFUSED and as `act`
   */
  rotate(server: Server, signal: AbortSignal): Promise<string>;
  /** The last contact of the machine since then, on any wire, over any replica. */
  seen(server: Server, since: Date): Sighting | undefined;
}

/** What power is made of. */
export interface PowerOptions {
  /** In config order; asked at each call, as plugins add theirs during set-up. */
  readonly drivers: () => readonly PowerDriver[];
  readonly resources: ResourceClient;
  /** How servers whose `spec.pxeMode` says nothing boot from the network. */
  readonly pxeMode: NetworkBootMode;
  readonly evidence: Pick<Evidence, 'seen'>;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock?: Clock;
  readonly limits?: PowerLimits;
}

/** How devices are spared. */
export interface PowerLimits {
  /** To one device. Default 10. */
  readonly commandsPerSecond?: number;
  /** Longest time that a driver gets for one command. Default 30 s. */
  readonly commandMs?: number;
  /** How long a session stays open unused. Default 50 s: BMCs close theirs after 60 s. */
  readonly idleMs?: number;
}

/** Power, with an end. */
export interface RunningPower extends Power {
  /** Closes all sessions. */
  close(): Promise<void>;
}

/** The power of servers over the drivers of the plugins. Nothing runs before the first call. */
export function createPower(options: PowerOptions): RunningPower {
  const { resources, evidence, log, limits, clock = realClock } = options;
  const { commandsPerSecond = 10, commandMs = 30_000, idleMs = 50_000 } = limits ?? {};
  const devices = new Devices({ clock, log, meters: createPowerMeters(options.metrics), commandsPerSecond, commandMs, idleMs });
  const refuseShared = createOwnerCheck(resources);
  const claiming = (server: Server) =>
    options.drivers().filter((driver) => driver.claims(server) && (driver.needsLogin === false || namesLogin(server)));
  const waysTo = (server: Server, signal: AbortSignal, claims = claiming(server)): readonly Way[] => {
    let read: Promise<BmcLogin | undefined> | undefined;
    const login = () => (read ??= readLogin(resources, server));
    // A driver that can do without a login is not held up by one that is not there.
    const perhaps = () => login().catch(() => undefined);
    return claims.map((driver) => new Way({ server, driver, devices, signal, login: driver.needsLogin === false ? perhaps : login }));
  };
  return {
    drivers: (server) => claiming(server).map(({ name }) => name),
    read: (server, signal) => readPower(waysTo(server, signal), { clock, signal }),
    async act(server, { action, mode = modeOf(server, options.pxeMode), driver, onlyWhenOff = false }, signal) {
      const claims = claiming(server).filter(({ name }) => driver === undefined || name === driver);
      if (claims.length === 0) throw unmanaged(server, driver);
      await refuseShared(server, claims);
      return climb(waysTo(server, signal, claims), { action, mode, onlyWhenOff, clock, signal });
    },
    probe: (server, signal) => probeAll(waysTo(server, signal), signal),
    async rotate(server, signal) {
      const claims = claiming(server).filter(({ needsLogin }) => needsLogin !== false);
      if (claims.length === 0) throw unmanaged(server);
      return rotate({ server, resources, ways: waysTo(server, signal, claims) });
    },
    seen: (server, since) => evidence.seen(server, since),
    close: () => devices.close(),
  };
}

function modeOf({ spec }: Server, fallback: NetworkBootMode): NetworkBootMode {
  return spec?.pxeMode === 'uefi' || spec?.pxeMode === 'bios' ? spec.pxeMode : fallback;
}

function unmanaged(server: Server, driver?: string): Error {
  const why = driver === undefined ? 'no power driver claims it' : `power driver ${driver} does not claim it`;
  return failure('SIDERO_POWER_UNMANAGED', { server: server.metadata.name, why });
}
