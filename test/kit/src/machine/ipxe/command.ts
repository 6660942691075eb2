import type { Setting, Settings } from './settings.ts';

/** An image that iPXE fetched. */
export interface Image {
  readonly url: URL;
  readonly bytes: Uint8Array;
}

/** What iPXE does to the machine when it is done. */
export type IpxeOutcome =
  | { readonly action: 'boot'; readonly kernel: URL; readonly args: readonly string[]; readonly initrds: readonly URL[] }
  | { readonly action: 'disk'; readonly drive: number }
  /** iPXE gave the machine back to the firmware, which goes on with the next boot device. */
  | { readonly action: 'exit'; readonly status: number }
  | { readonly action: 'reboot' | 'poweroff' };

/** The machine around iPXE. */
export interface IpxeHost {
  /** What iPXE knows before any script ran: `uuid`, `net0/mac`, `next-server`, … */
  readonly settings: Readonly<Record<string, Setting>>;
  /** Fetches a file; undefined when it cannot be had (iPXE prints its own message then). */
  fetch(url: URL, use: 'script' | 'kernel' | 'initrd'): Promise<Uint8Array | undefined>;
  /** DHCP on an interface; true when it has an address afterwards. */
  configure(nic: string): Promise<boolean>;
  sleep(seconds: number): Promise<void>;
  print(text: string): void;
  readonly signal: AbortSignal;
}

// How far a command stops what runs: nothing, the rest of its line, its script, the whole of iPXE.
export const STOP = { none: 0, line: 1, script: 2, machine: 3 } as const;
export type Stop = (typeof STOP)[keyof typeof STOP];

/** Status of a command: 0 is success, as in iPXE. */
export type Status = number;
export const FAILED: Status = 1;

/** What a command sees of the iPXE it runs in. */
export interface RunningIpxe {
  readonly host: IpxeHost;
  readonly settings: Settings;
  /** The kernel that `boot` would start. */
  kernel: { readonly url: URL; readonly args: readonly string[] } | undefined;
  readonly initrds: URL[];
  /** Set by `chain --replace`: runs in place of the script that asked for it. */
  replacement: Image | undefined;
  stop: Stop;
  /** Absolute form of a URL that may be relative to the running script; undefined when it is none. */
  resolve(reference: string): URL | undefined;
  /** Jumps to a label of the running script; false when there is none of that name. */
  goto(label: string): boolean;
  /** Ends iPXE: the machine goes on with `outcome`. */
  finish(outcome: IpxeOutcome): Status;
  /** Runs an image as `chain` does, then whatever replaced it. */
  execute(image: Image): Promise<Status>;
}

/** One command of iPXE. */
export type Run = (ipxe: RunningIpxe, args: readonly string[]) => Status | Promise<Status>;
