import { hasCode } from '@sidero/core';
import { decodeRmcp, encodeRmcp } from '../wire/rmcp.ts';
import { decodeSession, type PlainPacket, type SealedPacket } from '../wire/session-packet.ts';
import type { Udp } from './udp.ts';

export type Packet = PlainPacket | SealedPacket;

/**
 * Why a packet was dropped: it can't be read; it doesn't prove its origin; it is of another session; it came before; nobody asked for it, or
 * no longer.
 */
export type DropReason = 'malformed' | 'unproven' | 'other-session' | 'replayed' | 'unexpected';

/** A question to the BMC. */
export interface Question<T> {
  /** What RMCP carries. Made for each attempt: repetitions have sequence numbers of their own. */
  packet(): Uint8Array;
  /** The answer, when this is it. May throw what the decoders throw, which drops the packet. */
  read(packet: Packet): { readonly answer: T } | DropReason;
  /** How long to wait after each attempt; as many attempts as numbers. */
  readonly waitsMs: readonly number[];
  readonly signal: AbortSignal;
}

/** Asks, repeats, and picks the answers out of what comes in. One question at a time; further ones wait for their turn. */
export class Exchange {
  readonly #dropped: (reason: DropReason) => void;
  #udp: Udp | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #take: ((packet: Packet) => DropReason | undefined) | undefined;

  /** @param dropped is told of each packet that is dropped */
  constructor(dropped: (reason: DropReason) => void) {
    this.#dropped = dropped;
  }

  /** Says through which socket to ask. */
  use(udp: Udp): void {
    this.#udp = udp;
  }

  /** The answer; undefined when none came. @throws the signal's reason when it aborts */
  ask<T>(question: Question<T>): Promise<T | undefined> {
    const asked = this.#turn.then(() => this.#ask(question));
    this.#turn = asked.catch(() => undefined);
    return asked;
  }

  /** Sends without expecting an answer. */
  tell(packet: Uint8Array): void {
    this.#udp?.send(encodeRmcp({ class: 'ipmi', body: packet }));
  }

  /** What to say when no answer came: a clause. */
  silence(waitsMs: readonly number[]): string {
    const seconds = waitsMs.reduce((sum, waitMs) => sum + waitMs, 0) / 1000;
    const problem = this.#udp?.problem;
    return `nothing came back in ${seconds.toFixed(1)} s after ${waitsMs.length} packets${problem ? ` (${problem})` : ''}`;
  }

  /** Takes a datagram. Never throws. */
  hear(datagram: Uint8Array): void {
    try {
      const message = decodeRmcp(datagram);
      const reason = message.class === 'ipmi' && this.#take ? this.#take(decodeSession(message.body)) : 'unexpected';
      if (reason) this.#dropped(reason);
    } catch {
      this.#dropped('malformed');
    }
  }

  async #ask<T>({ packet, read, waitsMs, signal }: Question<T>): Promise<T | undefined> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    let timer: NodeJS.Timeout | undefined;
    const attempt = (index: number): void => {
      const waitMs = waitsMs[index];
      if (waitMs === undefined) return resolve(undefined);
      this.tell(packet());
      timer = setTimeout(() => attempt(index + 1), waitMs);
    };
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    this.#take = (heard) => {
      const outcome = readOrDrop(() => read(heard), reject);
      if (typeof outcome === 'string') return outcome;
      if (outcome) resolve(outcome.answer);
      return undefined;
    };
    try {
      attempt(0);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      this.#take = undefined;
    }
  }
}

// What the decoders refuse is dropped; any other error is ours and ends the question.
function readOrDrop<T>(read: () => { readonly answer: T } | DropReason, reject: (error: unknown) => void): ReturnType<typeof read> | undefined {
  try {
    return read();
  } catch (thrown) {
    if (hasCode(thrown, 'SIDERO_IPMI_MALFORMED')) return 'malformed';
    if (hasCode(thrown, 'SIDERO_IPMI_UNPROVEN')) return 'unproven';
    reject(thrown);
    return undefined;
  }
}

/** Waits that grow by half: `timeoutMs`, and as many more as `retries`. */
export function waitsOf({ timeoutMs, retries }: { readonly timeoutMs: number; readonly retries: number }): readonly number[] {
  return Array.from({ length: retries + 1 }, (_, index) => Math.round(timeoutMs * 1.5 ** index));
}
