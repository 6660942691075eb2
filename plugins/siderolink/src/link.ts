/** A place inside the tunnel where machines talk to us. */
export interface LinkListener {
  /** "kernel logs". */
  readonly name: string;
  readonly port: number;
  /**
   * Serves until `signal` aborts; calls `ready` once it listens. Whoever is not at `isMachine(address)` is not listened to.
   * @throws what ends it before that
   */
  serve(at: LinkPlace, signal: AbortSignal, ready: () => void): Promise<void>;
  /** TCP port from which the machine at an address in the tunnel is connected now; undefined: it is not. */
  portOf(address: string): number | undefined;
}

/** Where a listener is to listen, and whom it may believe. */
export interface LinkPlace {
  /** Of the server in the tunnel, without prefix length. */
  readonly host: string;
  /** Whether an address is in the tunnel, and not our own. */
  isMachine(address: string): boolean;
  /** Told when a machine has connected: from where is worth knowing. */
  readonly connected?: () => void;
}
