import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Random } from '../random.ts';

/** A datagram and where it came from. */
export interface Datagram {
  readonly bytes: Buffer;
  readonly from: RemoteInfo;
}

/** How a machine sits on the network. */
export interface Link {
  /** Address the machine sends from. */
  readonly address: string;
  /** Share of datagrams that get lost, in each direction; 0 to 1. */
  readonly loss: number;
  readonly random: Random;
}

/** One UDP socket of a machine: sends, and waits for what comes, one datagram after the other. */
export class UdpSocket implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #link: Link;
  readonly #signal: AbortSignal;
  readonly #waiting: Datagram[] = [];
  #wake: (() => void) | undefined;
  /** The last datagram on its way out: closing the socket would take it back. */
  #sending: Promise<void> = Promise.resolve();
  readonly #onAbort = () => this.#wake?.();

  private constructor(link: Link, signal: AbortSignal) {
    this.#link = link;
    this.#signal = signal;
    this.#socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 18 });
    this.#socket.on('message', (bytes, from) => {
      if (this.#isLost()) return;
      this.#waiting.push({ bytes, from });
      this.#wake?.();
    });
    // An ICMP "port unreachable" says no more than silence does, and firmware does not see it either.
    this.#socket.on('error', () => undefined);
    signal.addEventListener('abort', this.#onAbort);
  }

  static async open(link: Link, signal: AbortSignal): Promise<UdpSocket> {
    signal.throwIfAborted();
    const socket = new UdpSocket(link, signal);
    socket.#socket.bind(0, link.address);
    await once(socket.#socket, 'listening');
    return socket;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  send(bytes: Uint8Array, port: number, host: string): void {
    if (this.#isLost()) return;
    this.#sending = new Promise((resolve) => this.#socket.send(bytes, port, host, () => resolve()));
  }

  /** The next datagram; undefined after `timeoutMs` without one. @throws the reason of the signal */
  async receive(timeoutMs: number): Promise<Datagram | undefined> {
    this.#signal.throwIfAborted();
    if (this.#waiting.length === 0) await this.#wait(timeoutMs);
    this.#signal.throwIfAborted();
    return this.#waiting.shift();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort);
    await this.#sending;
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  #isLost(): boolean {
    return this.#link.loss > 0 && this.#link.random.chance(this.#link.loss);
  }

  async #wait(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }
}
