import type { Command as CliCommand } from 'commander';
import type { BootFacts } from './hooks.ts';
import type { Server } from './resources/kinds.ts';

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

/** A way to control a machine's power. */
export interface PowerDriver {
  readonly name: string;
  /** Those that claim a server are tried in config order. */
  claims(server: Server): boolean;
  open(server: Server, login: BmcLogin): Promise<PowerSession>;
}

/** Every verb may be repeated: `on` when already on is no error. Only `on` is mandatory, the rest are declared abilities. */
export interface PowerSession extends AsyncDisposable {
  on(signal: AbortSignal): Promise<void>;
  isOn?(signal: AbortSignal): Promise<boolean>;
  off?(signal: AbortSignal): Promise<void>;
  cycle?(signal: AbortSignal): Promise<void>;
  networkBootOnce?(mode: 'uefi' | 'bios', signal: AbortSignal): Promise<void>;
}

/** Anything that runs beside requests: TFTP, DHCP, WireGuard, an event sink. */
export interface Service {
  readonly name: string;
  /** TFTP runs on every replica, WireGuard on the leader. */
  readonly where: 'leader' | 'every';
  /** Calls `ready` once it serves; returns after `signal` aborts, or rejects, which stops the process with that error. */
  run(signal: AbortSignal, ready: () => void): Promise<void>;
}

/** A subcommand of `sidero`. */
export interface Command {
  readonly name: string;
  /** Adds arguments, options and the action. */
  define(command: CliCommand): void;
}

/** What a BootFile or a DiskBoot is told about the machine. */
export type { BootFacts };
