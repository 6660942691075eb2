import { messageOf, ServerBindingKind, type Sidero } from '@sidero/core';
import type { PeerState } from '../tunnel/tunnel.ts';
import { CONNECTIONS_ANNOTATION } from './link-connections.ts';
import { LINK_ANNOTATION, linkNews, type LinkState, linkText } from './link-state.ts';
import { ENDPOINT_ANNOTATION, type WantedPeer } from './wanted-peers.ts';

/** An endpoint that changes often (a NAT) is written down so often at most. */
const AGAIN_MS = 5 * 60_000;
/** Written at once. */
const WRITES = 50;

/** What is to be written of one machine. */
interface News {
  readonly peer: WantedPeer;
  readonly endpoint?: string | undefined;
  readonly connections?: string | undefined;
  readonly link?: LinkState | undefined;
}

export interface PeerNotesOptions {
  /** The connections of the machine at an address in the tunnel, as CONNECTIONS_ANNOTATION has them. Default: none. */
  readonly connectionsOf?: (address: string) => string;
  /** A monotonic clock in ms. */
  readonly now?: () => number;
}

/**
 * Writes down where each machine's WireGuard was, so that after a restart of ours, or of the tunnel, we speak first; what connections it has, so that
 * it waits for no answer of who is gone; and since when it is heard, for people. In memory, and as annotations of the ServerBinding: another replica
 * may lead next, and they die with the allocation.
 */
export class PeerNotes {
  readonly #sidero: Pick<Sidero, 'resources' | 'log'>;
  readonly #connectionsOf: (address: string) => string;
  readonly #now: () => number;
  /** By key: where it was last, and since when the device has it. */
  #endpoints = new Map<string, string>();
  #placed = new Map<string, Date>();
  /** By binding: what was written, and when the endpoint was. Our copy of the binding may be older. */
  readonly #written = new Map<string, Omit<News, 'peer'> & { readonly endpointAtMs: number }>();
  #isWriting = false;

  constructor(sidero: Pick<Sidero, 'resources' | 'log'>, { connectionsOf = () => '', now = () => performance.now() }: PeerNotesOptions = {}) {
    this.#sidero = sidero;
    this.#connectionsOf = connectionsOf;
    this.#now = now;
  }

  /** Where a machine was last; undefined: nobody knows. */
  of(peer: WantedPeer): string | undefined {
    return this.#endpoints.get(peer.publicKey) ?? peer.endpoint;
  }

  /** Another device: nobody was heard on it. */
  startAnew(): void {
    this.#placed.clear();
  }

  /** Takes note of what the device knows, and writes down what is news. */
  see(states: readonly PeerState[], wanted: ReadonlyMap<string, WantedPeer>): void {
    const now = new Date();
    const known = states.filter(({ publicKey }) => wanted.has(publicKey));
    this.#endpoints = new Map(known.flatMap((state) => (endpointOf(state) ? [[state.publicKey, endpointOf(state)!] as const] : [])));
    this.#placed = new Map(known.map(({ publicKey }) => [publicKey, this.#placed.get(publicKey) ?? now]));
    const news = known.flatMap((state) => this.#newsOf(wanted.get(state.publicKey)!, state, now) ?? []);
    if (!this.#isWriting) void this.#write(news.slice(0, WRITES));
  }

  #newsOf(peer: WantedPeer, state: PeerState, now: Date): News | undefined {
    const before = this.#written.get(peer.binding);
    const placedAt = this.#placed.get(peer.publicKey) ?? now;
    const link = linkNews({ handshakeAt: state.handshakeAt, placedAt, before: before?.link ?? peer.link, now });
    const at = endpointOf(state);
    const isElsewhere = at !== undefined && at !== (before?.endpoint ?? peer.endpoint);
    const endpoint = isElsewhere && (before?.endpoint === undefined || this.#now() - before.endpointAtMs >= AGAIN_MS) ? at : undefined;
    const open = this.#connectionsOf(peer.address);
    // Those that were closed are kept: they do no harm.
    const connections = open === '' || open === (before?.connections ?? peer.connections) ? undefined : open;
    return link || endpoint || connections ? { peer, link, endpoint, connections } : undefined;
  }

  async #write(news: readonly News[]): Promise<void> {
    this.#isWriting = true;
    await Promise.all(news.map((one) => this.#writeOne(one)));
    this.#isWriting = false;
  }

  async #writeOne({ peer, ...news }: News): Promise<void> {
    const before = this.#written.get(peer.binding);
    this.#written.delete(peer.binding);
    const { connections = before?.connections, endpoint = before?.endpoint, link = before?.link } = news;
    const endpointAtMs = news.endpoint ? this.#now() : (before?.endpointAtMs ?? 0);
    this.#written.set(peer.binding, { connections, endpoint, link, endpointAtMs });
    const [oldest] = this.#written.keys();
    if (this.#written.size > 10_000 && oldest !== undefined) this.#written.delete(oldest);
    const annotations = annotationsOf(news);
    await this.#sidero.resources
      .change(ServerBindingKind, { name: peer.uuid }, (draft) => {
        if (draft.metadata.uid !== peer.binding) return false;
        draft.metadata.annotations = { ...draft.metadata.annotations, ...annotations };
      })
      .catch((thrown: unknown) => {
        // Tried again when the device is looked at next.
        this.#written.delete(peer.binding);
        this.#sidero.log.debug({ server: peer.uuid, problem: messageOf(thrown) }, 'what is known of a machine could not be written down');
      });
  }
}

function annotationsOf({ connections, endpoint, link }: Omit<News, 'peer'>): Readonly<Record<string, string>> {
  return {
    ...(connections && { [CONNECTIONS_ANNOTATION]: connections }),
    ...(endpoint && { [ENDPOINT_ANNOTATION]: endpoint }),
    ...(link && { [LINK_ANNOTATION]: linkText(link) }),
  };
}

// Packets that come in a stream seem to come from ourselves: that is nowhere to speak to.
function endpointOf({ endpoint, handshakeAt }: PeerState): string | undefined {
  return endpoint && handshakeAt && !endpoint.startsWith('127.') && !endpoint.startsWith('[::1]') ? endpoint : undefined;
}
