import type { OpenDisk } from './wipe/block-device.ts';

/** The machine as the agent sees it: files of the kernel, programs, the console, the clock. Tests bring their own. */
export interface Machine {
  /** A file's text without surrounding blanks; undefined when it cannot be read. */
  readonly text: (path: string) => string | undefined;
  readonly bytes: (path: string) => Uint8Array | undefined;
  /** Names in a directory, sorted; empty when there is none. */
  readonly list: (path: string) => readonly string[];
  /** The last part of what a symbolic link points to. */
  readonly linkName: (path: string) => string | undefined;
  /** Best effort. */
  readonly write: (path: string, text: string) => void;
  /** Runs a program to its end, at most a minute; a failure is a value. */
  readonly run: (command: string, args: readonly string[]) => Promise<Ended>;
  /** Keeps a program running, restarting it, until the signal aborts. */
  readonly keepRunning: (daemon: Daemon, signal: AbortSignal) => void;
  /** Addresses by interface, as the kernel has them now, with prefix length: `10.0.0.7/24`. */
  readonly addresses: () => Readonly<Record<string, readonly string[]>>;
  /** What the BMC answers to one IPMI request, completion code first; undefined when there is no device or no answer. */
  readonly ipmi: (request: IpmiRequest) => Promise<Uint8Array | undefined>;
  /** Opens a disk for itself alone, to write to it. */
  readonly openDisk: OpenDisk;
  /** One line on the console, without the prefix. */
  readonly say: (line: string, level?: 'info' | 'error') => void;
  /** Writes buffers out and restarts; returns only when that failed. */
  readonly reboot: () => Promise<void>;
  /** Rejects with the signal's reason when it aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds on a clock that only moves forward. */
  readonly now: () => number;
}

/** How a program ended; code -1 when it could not be started or took too long. */
export interface Ended {
  readonly code: number;
  readonly output: string;
}

/** A program that stays. */
export interface Daemon {
  readonly command: string;
  readonly args: readonly string[];
  /** Each line of its output. */
  readonly onLine: (line: string) => void;
}

/** A request as IPMI 2.0 numbers it. */
export interface IpmiRequest {
  readonly netFn: number;
  readonly command: number;
  readonly data: readonly number[];
}

/** Something the agent cannot go on after; `stage` is where: "smbios", "network", "register". The message is for the console and the Server's Events. */
export class StageFailure extends Error {
  readonly stage: string;

  constructor(stage: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StageFailure';
    this.stage = stage;
  }
}
