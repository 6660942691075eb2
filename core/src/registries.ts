import type { Command as CliCommand } from 'commander';
import type { BootFacts } from './hooks.ts';
import type { KubeEvent, Server } from './resources/kinds.ts';

/** A file served over TFTP and under `/tftp/` on HTTP. */
export interface BootFile {
  /** As the firmware asks for it: `undionly.kpxe`, `snp.efi`, … */
  readonly name: string;
  /** What to say when `open` finds nothing: where the file comes from. */
  readonly hint: string;
  /** The whole file; undefined when it is not there (yet). */
  open(): Promise<Uint8Array | undefined>;
}

/** A way to make a machine that asked iPXE boot from its disk. */
export interface DiskBoot {
  /** Value of `bootFromDiskMethod`: `ipxe-exit`, `http-404`, `ipxe-sanboot`, yours. */
  readonly name: string;
  /** The answer to `/ipxe`. */
  answer(facts: BootFacts): { readonly status: number; readonly body: string };
}

/** Login of a BMC. */
export interface BmcLogin {
  readonly user: string;
  readonly pass: string;
}

/** How a machine shall boot from the network. */
export type NetworkBootMode = 'uefi' | 'bios';

/** A way to control a machine's power. Queue, rate limit, breaker, session reuse and the check of effects are core's: a driver only speaks its wire. */
export interface PowerDriver {
  readonly name: string;
  /** Those that claim a server are tried in config order. Looks at the Server only: no I/O. */
  claims(server: Server): boolean;
  /** Whether it needs the login of `spec.bmc`; a driver that does never claims a server whose BMC has none. Default true. */
  readonly needsLogin?: boolean;
  /** Values of `spec.bmc.interface` that it brings beside the original's (`lanplus`, `lan`, `open`); a Server with any other is refused. */
  readonly interfaces?: readonly string[];
  /**
   * Names the device that is talked to ("10.0.0.7:623"): what shares it is served one command at a time. Default: the server's own.
   */
  deviceOf?(server: Server): string;
  /**
   * Whether one device may stand before several machines, of which the driver finds the server's own. Default false: a device that two Servers
   * name switches neither, unless exactly one of them is in use.
   */
  readonly tellsMachinesApart?: boolean;
  /**
   * Ready to take commands. `login` is undefined when the server names none.
   * @throws SIDERO_BMC_AUTH, SIDERO_BMC_BUSY, SIDERO_BMC_FAULT, SIDERO_BMC_UNREACHABLE, SIDERO_BMC_UNSUPPORTED
   */
  open(server: Server, given: { readonly login: BmcLogin | undefined; readonly signal: AbortSignal }): Promise<PowerSession>;
}

/**
 * One server's power, over one driver. Every verb may be repeated: `on` when already on is no error. Only `on` is mandatory, the rest are
 * declared abilities. A verb returns when the device took the command; whether it did what it said is checked by the caller. Every verb may
 * throw what `open` throws, and rejects with the signal's reason when it aborts.
 */
export interface PowerSession extends AsyncDisposable {
  on(signal: AbortSignal): Promise<void>;
  isOn?(signal: AbortSignal): Promise<boolean>;
  /** Hard: no shutdown of the operating system. */
  off?(signal: AbortSignal): Promise<void>;
  /** Hard off, then on. A device that refuses this for a machine that is off throws SIDERO_BMC_UNSUPPORTED. */
  cycle?(signal: AbortSignal): Promise<void>;
  /** Asks the operating system to shut down. */
  soft?(signal: AbortSignal): Promise<void>;
  /** The next boot, and only that, is from the network. Read back where the device keeps it: a mismatch is SIDERO_BMC_FAULT. */
  networkBootOnce?(mode: NetworkBootMode, signal: AbortSignal): Promise<void>;
  /** What this device really supports, for people: `{ "Boot override": "Pxe, UefiHttp; Once" }`. */
  probe?(signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** Gives the user of this session another password. */
  changePassword?(pass: string, signal: AbortSignal): Promise<void>;
}

/** Anything that runs beside requests: TFTP, DHCP, WireGuard, an event sink. */
export interface Service {
  readonly name: string;
  /** TFTP runs on every replica, WireGuard on the leader. */
  readonly where: 'leader' | 'every';
  /** Calls `ready` once it serves; returns after `signal` aborts, or rejects, which stops the process with that error. */
  run(signal: AbortSignal, ready: () => void): Promise<void>;
  /** What people should know of it while it serves: `/readyz?verbose` says so, and stays ready, for what else runs here must be reached. */
  note?(): string | undefined;
}

/** A subcommand of `sidero`. */
export interface Command {
  readonly name: string;
  /**
   * It works with the API of a running sidero: it gets `--kubeconfig` and `--data-dir`, and `sidero.resources` reaches that API in its action.
   * Default false: then nothing is reached.
   */
  readonly usesApi?: boolean;
  /** Adds arguments, options and the action. */
  define(command: CliCommand): void;
}

/** A plugin's part of `sidero why`: what it knows of a server. */
export interface Explainer {
  /** What stands before its lines: `siderolink`. */
  readonly name: string;
  /** A line a fact, the most important first, with what to do about it; none: there is nothing to tell. `sidero.resources` reaches the API. */
  explain(question: WhyQuestion): Promise<readonly string[]>;
}

/** What an Explainer is asked about. */
export interface WhyQuestion {
  readonly server: Server;
  /** About that Server, the oldest first. */
  readonly events: readonly KubeEvent[];
  /** Of the sidero that runs, if it runs on this host. */
  readonly dataDir: string;
  readonly now: Date;
  /** A time as the rest of the answer has it: "14:03:05 (3 min ago)". */
  when(time: Date): string;
}

/** What a BootFile or a DiskBoot is told about the machine. */
export type { BootFacts };
