import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { LinkConnection } from './link-connections.ts';

/** A machine that does not speak for so long is off, or elsewhere. Those whose packets come in streams are the last: their TCP finds out by itself. */
const PATIENCE_MS = 60_000;

/** A connection by both its ends. */
export interface Call extends LinkConnection {
  /** Of the machine in the tunnel. */
  readonly address: string;
}

/**
 * Ends connections that machines still hold to a process that is gone without a word: its host lost its power, or it hangs. Talos waits for the answer
 * to an event as long as its connection lives, which then is until its kernel asks whether we are still there: for 10 min; and what it writes first into
 * such a connection is lost. A SYN from our end makes the machine's kernel tell what it believes, and ours, which knows of no such connection, resets it
 * (RFC 9293, 3.5.1). Returns once our ports may be listened on; what is under way goes on until `signal` aborts.
 */
export async function hangUp(calls: readonly Call[], { host, signal }: { readonly host: string; readonly signal: AbortSignal }): Promise<void> {
  const sockets = new Set<Socket>();
  for (const { address, ownPort, machinePort } of calls) {
    const socket = connect({ host: address, port: machinePort, localAddress: host, localPort: ownPort });
    sockets.add(socket);
    const end = (): void => void socket.destroy();
    // Reset, refused, or our own kernel still has that connection and ends it by itself: whatever it is, nobody waits there any more.
    socket.setTimeout(PATIENCE_MS, end).on('error', end).on('connect', end);
    socket.on('close', () => sockets.delete(socket));
  }
  signal.addEventListener('abort', () => sockets.forEach((socket) => socket.destroy()), { once: true });
  // They are bound in the next tick. Once somebody listens on a port nobody else can be.
  await setImmediate();
}
