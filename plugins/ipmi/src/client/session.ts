import type { CipherSuite } from '../wire/cipher-suite.ts';
import type { Subject } from './bmc-failure.ts';
import type { DropReason, Packet } from './exchange.ts';

/** With what a session is opened. */
export interface SessionTerms {
  readonly subject: Subject;
  readonly user: string;
  readonly password: string;
  readonly privilege: 'administrator' | 'operator';
  /** Tried in this order. Only RMCP+ has suites. */
  readonly suites: readonly CipherSuite['id'][];
  /** How long to wait after each attempt. */
  readonly waitsMs: readonly number[];
  /** As `waitsMs`, for the very first question. Default the same. */
  readonly firstWaitsMs?: readonly number[];
}

/** An open session: how messages are packed into it, and what came out of it. */
export interface Session {
  readonly version: '2.0' | '1.5';
  /** The suite in use; undefined for IPMI 1.5. */
  readonly suite: CipherSuite | undefined;
  /** The BMC's number of it. */
  readonly id: number;
  /** How it came about, for people: "suite 17 refused: …; suite 3 accepted". */
  readonly story: string;
  /** A packet with that IPMI message, ready for RMCP; each has a sequence number of its own. */
  pack(message: Uint8Array): Uint8Array;
  /** The IPMI message of a packet of this session that has not been seen before. May throw what the decoders throw. */
  unpack(packet: Packet): Uint8Array | DropReason;
}
