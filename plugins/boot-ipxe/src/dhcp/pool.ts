import { contains, fromBits, type Subnet, toBits } from './ipv4.ts';
import type { Lease, LeaseBook } from './lease-book.ts';

/** Who wants an address. */
export interface LeaseClient {
  readonly id: string;
  readonly mac: string;
  readonly hostname?: string;
}

/** What a pool is made of. */
export interface PoolOptions {
  readonly subnet: Subnet;
  /** First and last address to give. */
  readonly range: readonly [string, string];
  readonly leaseSeconds: number;
  /** Addresses of the range that are taken for good: ours, the router's. */
  readonly excluded: readonly string[];
  /** MAC addresses by the IP address the kernel has seen them under; a stranger's address is not given. */
  readonly neighbours: () => ReadonlyMap<string, string>;
  readonly nowMs: () => number;
}

/** A client that was offered an address asks for it within seconds. */
const OFFER_MS = 60_000;
/** An address a client found in use is left alone for so long. */
const DECLINED_MS = 10 * 60_000;

/** The addresses of one interface. All changes go to the book. */
export class AddressPool {
  readonly #book: LeaseBook;
  readonly #options: PoolOptions;
  readonly #first: number;
  readonly #last: number;

  constructor(book: LeaseBook, options: PoolOptions) {
    this.#book = book;
    this.#options = options;
    this.#first = toBits(options.range[0]);
    this.#last = toBits(options.range[1]);
  }

  get options(): PoolOptions {
    return this.#options;
  }

  /** Whether the address is one of ours to give. */
  gives(address: string): boolean {
    const bits = toBits(address);
    return bits >= this.#first && bits <= this.#last && contains(this.#options.subnet, address) && !this.#options.excluded.includes(address);
  }

  /** Addresses in use or promised. */
  get taken(): number {
    return this.#book.list().filter((lease) => this.gives(lease.address) && lease.expiresMs > this.#options.nowMs()).length;
  }

  get size(): number {
    return this.#last - this.#first + 1;
  }

  /** Reserves an address: the one the client had, else the one it wishes, else one never used, else the one unused for longest. */
  offer(client: LeaseClient, wish: string | undefined): Lease | undefined {
    const held = this.#book.of(client.id);
    if (held && this.#isFree(held.address, client)) {
      return held.state === 'bound' && held.expiresMs > this.#options.nowMs() ? held : this.#reserve(client, held.address);
    }
    const address = wish !== undefined && !this.#book.at(wish) && this.#isFree(wish, client) ? wish : this.#pick(client);
    return address === undefined ? undefined : this.#reserve(client, address);
  }

  /** Gives the client the address it asks for, when nobody else has it. */
  bind(client: LeaseClient, address: string): Lease | undefined {
    const held = this.#book.of(client.id);
    // A client that holds another address has moved in its memory, not here: it must ask anew.
    const isOther = held && held.address !== address && held.state === 'bound' && held.expiresMs > this.#options.nowMs() && this.gives(held.address);
    if (isOther || !this.#isFree(address, client)) return undefined;
    return this.#write({ ...client, address, state: 'bound' }, this.#options.leaseSeconds * 1000);
  }

  /** The client no longer uses the address; it gets it again when it comes back. */
  release(client: LeaseClient, address: string): void {
    const held = this.#book.at(address);
    if (held?.client === client.id) this.#book.set({ ...held, state: 'bound', expiresMs: this.#options.nowMs() });
  }

  /** The client chose another server's offer. */
  forgetOffer(client: LeaseClient): void {
    const held = this.#book.of(client.id);
    if (held?.state === 'offered' && this.gives(held.address)) this.#book.remove(held);
  }

  /** The client found the address in use by somebody else. */
  decline(client: LeaseClient, address: string): boolean {
    if (this.#book.at(address)?.client !== client.id) return false;
    this.#write({ id: `declined ${address}`, mac: '', address, state: 'declined' }, DECLINED_MS);
    return true;
  }

  #reserve(client: LeaseClient, address: string): Lease {
    return this.#write({ ...client, address, state: 'offered' }, OFFER_MS);
  }

  #write(given: LeaseClient & Pick<Lease, 'address' | 'state'>, forMs: number): Lease {
    const { id, ...rest } = given;
    const lease: Lease = { ...rest, client: id, expiresMs: this.#options.nowMs() + forMs };
    this.#book.set(lease);
    return lease;
  }

  #isFree(address: string, client: LeaseClient): boolean {
    if (!this.gives(address)) return false;
    const held = this.#book.at(address);
    if (held && held.expiresMs > this.#options.nowMs()) return held.client === client.id;
    const seen = this.#options.neighbours().get(address);
    return seen === undefined || seen === client.mac;
  }

  #pick(client: LeaseClient): string | undefined {
    let oldest: Lease | undefined;
    for (let bits = this.#first; bits <= this.#last; bits += 1) {
      const address = fromBits(bits);
      if (!this.#isFree(address, client)) continue;
      const held = this.#book.at(address);
      if (!held) return address;
      if (!oldest || held.expiresMs < oldest.expiresMs) oldest = held;
    }
    return oldest?.address;
  }
}
