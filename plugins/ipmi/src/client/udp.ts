import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { messageOf, orAborted } from '@sidero/core';

/** Where a BMC listens. */
export interface Endpoint {
  /** IP address or name, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** A UDP socket that talks to one endpoint and hears only that. */
export interface Udp extends AsyncDisposable {
  /** Never throws: what goes wrong is silence, and `problem` says why. */
  send(datagram: Uint8Array): void;
  /** What the network last said against a packet: `connect ECONNREFUSED …`. */
  readonly problem: string | undefined;
}

/**
 * @param given `hear` gets each datagram that comes in
 * @throws what the look-up of the name, or making the socket, throws; the signal's reason when it aborts
 */
export async function openUdp({ host, port }: Endpoint, given: { hear(datagram: Uint8Array): void; readonly signal: AbortSignal }): Promise<Udp> {
  const { address, family } = await orAborted(lookup(host), given.signal);
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  try {
    socket.connect(port, address);
    await once(socket, 'connect', { signal: given.signal });
  } catch (thrown) {
    socket.close();
    given.signal.throwIfAborted();
    throw thrown;
  }
  return new ConnectedUdp(socket, given.hear);
}

class ConnectedUdp implements Udp {
  problem: string | undefined;
  readonly #socket: Socket;
  #isClosed = false;

  constructor(socket: Socket, hear: (datagram: Uint8Array) => void) {
    this.#socket = socket;
    socket.on('message', hear);
    // Refusals by ICMP come here; a BMC that is starting again will answer later.
    socket.on('error', (error) => this.#note(error));
  }

  send(datagram: Uint8Array): void {
    if (this.#isClosed) return;
    this.#socket.send(datagram, (error) => this.#note(error));
  }

  #note(error: Error | null): void {
    if (error) this.problem = messageOf(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}
