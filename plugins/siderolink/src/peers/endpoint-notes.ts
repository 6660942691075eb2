import { messageOf, ServerBindingKind, type Sidero } from '@sidero/core';
import type { PeerState } from '../tunnel/tunnel.ts';
import { ENDPOINT_ANNOTATION, type WantedPeer } from './wanted-peers.ts';

/** An endpoint that changes often (a NAT) is written down so often at most. */
const AGAIN_MS = 5 * 60_000;
/** Written at once. */
const WRITES = 50;

/**
 * Remembers where each machine's WireGuard was, so that after a restart of ours, or of the tunnel, we speak first. In memory, and as an
 * annotation of the ServerBinding: another replica may lead next, and it dies with the allocation.
 */
export class EndpointNotes {
  readonly #sidero: Pick<Sidero, 'resources' | 'log'>;
  readonly #now: () => number;
  /** By key. */
  #seen = new Map<string, string>();
  /** By uuid: what was written, and when. */
  readonly #written = new Map<string, { readonly endpoint: string; readonly atMs: number }>();
  #isWriting = false;

  /** `now` is a monotonic clock in ms. */
  constructor(sidero: Pick<Sidero, 'resources' | 'log'>, now: () => number = () => performance.now()) {
    this.#sidero = sidero;
    this.#now = now;
  }

  /** Where a machine was last; undefined: nobody knows. */
  of(peer: WantedPeer): string | undefined {
    return this.#seen.get(peer.publicKey) ?? peer.endpoint;
  }

  /** Takes note of what the device knows, and writes down what is news. */
  see(states: readonly PeerState[], wanted: ReadonlyMap<string, WantedPeer>): void {
    const met = states.filter(({ publicKey, endpoint, handshakeAt }) => endpoint && handshakeAt && !isOwn(endpoint) && wanted.has(publicKey));
    this.#seen = new Map(met.map(({ publicKey, endpoint }) => [publicKey, endpoint!]));
    const news = met.map(({ publicKey, endpoint }) => ({ peer: wanted.get(publicKey)!, endpoint: endpoint! })).filter((one) => this.#isNews(one));
    if (!this.#isWriting) void this.#write(news.slice(0, WRITES));
  }

  #isNews({ peer, endpoint }: { peer: WantedPeer; endpoint: string }): boolean {
    const before = this.#written.get(peer.uuid);
    if (endpoint === (before?.endpoint ?? peer.endpoint)) return false;
    return !before || this.#now() - before.atMs >= AGAIN_MS;
  }

  async #write(news: readonly { peer: WantedPeer; endpoint: string }[]): Promise<void> {
    this.#isWriting = true;
    await Promise.all(news.map((one) => this.#writeOne(one)));
    this.#isWriting = false;
  }

  async #writeOne({ peer, endpoint }: { peer: WantedPeer; endpoint: string }): Promise<void> {
    this.#written.delete(peer.uuid);
    this.#written.set(peer.uuid, { endpoint, atMs: this.#now() });
    const [oldest] = this.#written.keys();
    if (this.#written.size > 10_000 && oldest !== undefined) this.#written.delete(oldest);
    await this.#sidero.resources
      .change(ServerBindingKind, { name: peer.uuid }, (draft) => {
        if (draft.metadata.annotations?.[ENDPOINT_ANNOTATION] === endpoint) return false;
        draft.metadata.annotations = { ...draft.metadata.annotations, [ENDPOINT_ANNOTATION]: endpoint };
      })
      .catch((thrown: unknown) => this.#sidero.log.debug({ server: peer.uuid, problem: messageOf(thrown) }, 'an endpoint could not be written down'));
  }
}

// Packets that come in a stream seem to come from here.
function isOwn(endpoint: string): boolean {
  return endpoint.startsWith('127.') || endpoint.startsWith('[::1]');
}
