/** An address that a client has, or had. */
export interface Lease {
  readonly address: string;
  /** Client identifier (option 61) or hardware address. */
  readonly client: string;
  readonly mac: string;
  readonly hostname?: string;
  /** Milliseconds since 1970. An ended lease is kept, so that the client gets the same address again while nobody else needs it. */
  readonly expiresMs: number;
  /** `offered` is not promised to anybody yet; `declined` is in use by somebody we do not know. */
  readonly state: 'offered' | 'bound' | 'declined';
}

/** All leases, each address at most once and each client at most once. */
export class LeaseBook {
  readonly #byAddress = new Map<string, Lease>();
  readonly #byClient = new Map<string, Lease>();

  constructor(leases: readonly Lease[] = []) {
    for (const lease of leases) this.set(lease);
  }

  at(address: string): Lease | undefined {
    return this.#byAddress.get(address);
  }

  of(client: string): Lease | undefined {
    return this.#byClient.get(client);
  }

  list(): readonly Lease[] {
    return [...this.#byAddress.values()];
  }

  /** Replaces what there was for the address and for the client. */
  set(lease: Lease): void {
    for (const old of [this.#byAddress.get(lease.address), this.#byClient.get(lease.client)]) if (old) this.remove(old);
    this.#byAddress.set(lease.address, lease);
    this.#byClient.set(lease.client, lease);
  }

  remove(lease: Lease): void {
    this.#byAddress.delete(lease.address);
    this.#byClient.delete(lease.client);
  }
}
