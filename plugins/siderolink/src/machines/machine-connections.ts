import type { Socket } from 'node:net';

/** Why a connection was closed by us. */
export type CloseReason = 'limit' | 'idle' | 'gone';

/** What connections are kept by. */
export interface MachineConnectionsOptions {
  /** Of one machine; of more the oldest is closed. */
  readonly each: number;
  /** A connection on which nothing came for so long is closed. Default: never. */
  readonly idleMs?: number;
  onClose(reason: CloseReason): void;
  /** Told how many there are, of all machines. */
  onCount?(open: number): void;
}

/** The open connections of all machines, by their address. */
export class MachineConnections {
  readonly #options: MachineConnectionsOptions;
  readonly #byAddress = new Map<string, Set<Socket>>();
  #count = 0;

  constructor(options: MachineConnectionsOptions) {
    this.#options = options;
  }

  add(address: string, socket: Socket): void {
    const { each, idleMs, onCount } = this.#options;
    const sockets = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, sockets.add(socket));
    onCount?.(++this.#count);
    socket.once('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0 && this.#byAddress.get(address) === sockets) this.#byAddress.delete(address);
      onCount?.(--this.#count);
    });
    if (idleMs !== undefined) socket.setTimeout(idleMs, () => this.#close(socket, 'idle'));
    const open = [...sockets].filter(({ destroyed }) => !destroyed);
    if (open.length > each) this.#close(open[0]!, 'limit');
  }

  /** Port of the last one of an address. */
  portOf(address: string): number | undefined {
    return [...(this.#byAddress.get(address) ?? [])].at(-1)?.remotePort;
  }

  /** The address is nobody's any more. */
  closeOf(address: string): void {
    for (const socket of this.#byAddress.get(address) ?? []) this.#close(socket, 'gone');
  }

  closeAll(): void {
    for (const sockets of this.#byAddress.values()) for (const socket of sockets) socket.destroy();
  }

  #close(socket: Socket, reason: CloseReason): void {
    if (socket.destroyed) return;
    this.#options.onClose(reason);
    socket.destroy();
  }
}
