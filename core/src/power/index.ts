import type { SideroError } from '../errors.ts';
import type { Wire } from '../hooks.ts';
import type { NetworkBootMode, PowerDriver } from '../registries.ts';
import type { Server } from '../resources/kinds.ts';

/** What a device says of a machine's power. */
export type PowerState = 'on' | 'off' | 'unknown';

/** One look at a machine's power. A device that fails is a value here, never a throw. */
export interface PowerReading {
  readonly state: PowerState;
  /** The driver that could tell; undefined when none claims the server or none could. */
  readonly driver: string | undefined;
  /** Why the state is unknown although a driver claims the server. */
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
   * @throws SIDERO_BMC_AUTH, SIDERO_BMC_BUSY, SIDERO_BMC_FAULT, SIDERO_BMC_LOGIN_MISSING, SIDERO_BMC_UNREACHABLE, SIDERO_BMC_UNSUPPORTED,
   * SIDERO_POWER_UNMANAGED
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

/** What the drivers are worked through. */
export interface PowerOptions {
  /** In config order; asked at each call, as plugins add theirs during set-up. */
  readonly drivers: () => readonly PowerDriver[];
}

/** The power of servers over the drivers of the plugins. */
export function createPower({ drivers }: PowerOptions): Power {
  const none = (): never => {
    throw new Error('power is not there yet');
  };
  return {
    drivers: (server) =>
      drivers()
        .filter((driver) => driver.claims(server))
        .map(({ name }) => name),
    read: none,
    act: none,
    probe: none,
    rotate: none,
    seen: () => undefined,
  };
}
