import { messageOf, type ServerBinding, ServerBindingKind, type Sidero } from '@sidero/core';
import { setTimeout as delay } from 'node:timers/promises';
import type { LinkNetwork } from '../installation/network.ts';
import type { PeerSetting, PeerState, Tunnel } from '../tunnel/tunnel.ts';
import { changesBetween } from './changes.ts';
import type { Call } from './hang-up.ts';
import { connectionsOf } from './link-connections.ts';
import type { PeerNotes } from './peer-notes.ts';
import type { PeerMeters } from './peer-meters.ts';
import { type WantedPeer, wantedPeers } from './wanted-peers.ts';

/**
 * Annotation of a binding: a replica without the tunnel wrote this key, and answers the machine once the annotation is gone: then the leader
 * has let the machine in.
 */
export const PENDING_ANNOTATION = 'metal.sidero.dev/siderolink-pending';

/** How often the device is looked at; so often while machines are greeted, and for a while after one joined: where it is is worth knowing. */
const LOOK_MS = 10_000;
const QUICK_LOOK_MS = 1000;
const QUICK_MS = 15_000;
/** A machine that does not answer for so long is off, or elsewhere. */
const GREETING_MS = 120_000;

export interface PeerKeeperOptions {
  readonly tunnel: Tunnel;
  readonly network: LinkNetwork;
  readonly sidero: Pick<Sidero, 'resources' | 'log'>;
  readonly notes: PeerNotes;
  readonly meters: PeerMeters;
}

/** Keeps the peers of one device as the ServerBindings say. */
export class PeerKeeper {
  readonly #options: PeerKeeperOptions;
  /** Addresses by key, as the device has them. */
  #installed = new Map<string, readonly string[]>();
  /** The other way. */
  #keys: ReadonlyMap<string, string> = new Map();
  #wanted: ReadonlyMap<string, WantedPeer> = new Map();
  /** Machines that we speak to first, by key: where, and until when. */
  readonly #greeted = new Map<string, { readonly endpoint: string; readonly untilMs: number }>();
  /** Machines that were in the tunnel before this device was, and did not speak yet. */
  #unmet = new Set<string>();
  readonly #told = new Map<string, string>();
  #next: Promise<void> | undefined;
  /** The last of what changes the device: one after the other, each on what the one before left. */
  #tail: Promise<void> = Promise.resolve();
  #quickUntil = 0;
  #wakeLook = () => {};

  constructor(options: PeerKeeperOptions) {
    this.#options = options;
  }

  /** Puts every machine in place at once, strangers out, and speaks first to those whose endpoint is known. */
  async replay(): Promise<void> {
    this.#options.notes.startAnew();
    this.#note(await this.#options.tunnel.peers());
    const before = new Set(this.#installed.keys());
    await this.#pass((peer) => (before.has(peer.publicKey) ? {} : this.#greeting(peer, this.#options.notes.of(peer))));
    this.#unmet = new Set([...this.#wanted.keys()].filter((key) => !before.has(key)));
  }

  /** A machine can be reached there now: one that was in the tunnel before this device was is spoken to, for its old session is worth nothing. */
  async speakTo(address: string, endpoint: string): Promise<void> {
    const isDue = (key: string) => this.#unmet.has(key) && this.#greeted.get(key)?.endpoint !== endpoint;
    if (!isDue(this.#keys.get(address) ?? '')) return;
    await this.#alone(async () => {
      const peer = this.#wanted.get(this.#keys.get(address) ?? '');
      if (peer && isDue(peer.publicKey))
        await this.#options.tunnel.apply([{ publicKey: peer.publicKey, address, ...this.#greeting(peer, endpoint) }]);
    });
    this.#wakeLook();
  }

  /** The peers as the ServerBindings are now; several calls at once share one. @throws SIDERO_SIDEROLINK_TUNNEL_FAILED */
  sync(): Promise<void> {
    this.#next ??= this.#alone(() => {
      this.#next = undefined;
      return this.#pass();
    });
    return this.#next;
  }

  #alone(work: () => Promise<void>): Promise<void> {
    const done = this.#tail.catch(() => undefined).then(work);
    this.#tail = done;
    return done;
  }

  /** Whether a machine is let in. `address` without prefix length. */
  has(publicKey: string, address: string): boolean {
    const addresses = this.#installed.get(publicKey);
    return addresses?.length === 1 && addresses[0] === address;
  }

  /** Whether an address is that of a machine that is let in. */
  hasAddress(address: string): boolean {
    return this.#keys.has(address);
  }

  /** Has the machines looked at soon: one has news. */
  lookSoon(): void {
    this.#quickUntil = performance.now() + QUICK_MS;
    this.#wakeLook();
  }

  /** Connections that machines had, as far as they are written down. */
  calls(): readonly Call[] {
    return [...this.#wanted.values()].flatMap(({ address, connections }) => connectionsOf(connections).map((one) => ({ ...one, address })));
  }

  /** Follows the ServerBindings and the device until `signal` aborts. @throws SIDERO_SIDEROLINK_TUNNEL_FAILED */
  async run(signal: AbortSignal): Promise<void> {
    const { promise: failed, reject } = Promise.withResolvers<never>();
    void this.#options.sidero.resources.watch(ServerBindingKind, () => void this.sync().catch(reject), signal);
    await Promise.race([failed, this.#look(signal)]);
  }

  async #look(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const states = await this.#options.tunnel.peers();
      // After a pause that was none of ours, another replica may have the tunnel.
      if (signal.aborted) return;
      if (this.#differs(states)) await this.#alone(() => this.#repair());
      await this.#alone(() => this.#endGreetings(states));
      this.#options.notes.see(states, this.#wanted);
      this.#options.meters.count(states);
      await this.#pause(signal);
    }
  }

  // Looked at once more: what was seen may be from before the last change.
  async #repair(): Promise<void> {
    const states = await this.#options.tunnel.peers();
    if (!this.#differs(states)) return;
    this.#note(states);
    await this.#pass();
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const isQuick = this.#greeted.size > 0 || performance.now() < this.#quickUntil;
    const woken = new Promise<void>((resolve) => (this.#wakeLook = resolve));
    const over = new AbortController();
    const pause = delay(isQuick ? QUICK_LOOK_MS : LOOK_MS, undefined, { signal: AbortSignal.any([signal, over.signal]) }).catch(() => undefined);
    await Promise.race([pause, isQuick ? pause : woken]);
    over.abort();
  }

  async #pass(more: (peer: WantedPeer) => Partial<PeerSetting> = () => ({})): Promise<void> {
    const { tunnel, network, sidero } = this.#options;
    const bindings = await sidero.resources.list(ServerBindingKind);
    const { peers, problems } = wantedPeers(bindings, network);
    const changes = changesBetween(this.#installed, peers).map((change) =>
      'remove' in change ? change : { ...change, ...more(peers.get(change.publicKey)!) },
    );
    this.#wanted = peers;
    if (changes.length > 0) {
      await tunnel.apply(changes);
      for (const change of changes) {
        if ('remove' in change) this.#installed.delete(change.publicKey);
        else this.#installed.set(change.publicKey, [change.address]);
      }
      this.#index();
      for (const change of changes) this.#tell(change.publicKey, 'remove' in change ? undefined : change.address);
      this.lookSoon();
    }
    this.#complain(bindings, problems);
    this.#options.meters.countTokens(bindings);
    void this.#release(bindings);
  }

  #note(states: readonly PeerState[]): void {
    this.#installed = new Map(states.map(({ publicKey, addresses }) => [publicKey, addresses]));
    this.#index();
  }

  #index(): void {
    this.#keys = new Map([...this.#installed].flatMap(([key, addresses]) => addresses.map((address) => [address, key] as const)));
  }

  #differs(states: readonly PeerState[]): boolean {
    return states.length !== this.#installed.size || states.some(({ publicKey, addresses: [address = ''] }) => !this.has(publicKey, address));
  }

  #greeting(peer: WantedPeer, endpoint: string | undefined): Partial<PeerSetting> {
    if (!endpoint) return {};
    this.#greeted.set(peer.publicKey, { endpoint, untilMs: performance.now() + GREETING_MS });
    // A keepalive makes WireGuard begin a handshake by itself.
    return { endpoint, keepaliveSeconds: 1 };
  }

  async #endGreetings(states: readonly PeerState[]): Promise<void> {
    for (const { publicKey, handshakeAt } of states) if (handshakeAt) this.#unmet.delete(publicKey);
    if (this.#greeted.size === 0) return;
    const answered = new Set(states.filter(({ handshakeAt }) => handshakeAt).map(({ publicKey }) => publicKey));
    const now = performance.now();
    const over = [...this.#greeted].filter(([key, { untilMs }]) => answered.has(key) || untilMs < now || !this.#wanted.has(key)).map(([key]) => key);
    for (const key of over) this.#greeted.delete(key);
    const present = over.filter((key) => this.#wanted.has(key) && this.#installed.has(key));
    if (present.length > 0)
      await this.#options.tunnel.apply(present.map((key) => ({ publicKey: key, address: this.#wanted.get(key)!.address, keepaliveSeconds: 0 })));
  }

  #tell(publicKey: string, address: string | undefined): void {
    const server = this.#wanted.get(publicKey)?.uuid;
    if (address === undefined) this.#options.sidero.log.info({ public_key: publicKey }, 'removing peer');
    else this.#options.sidero.log.info({ server, public_key: publicKey, address }, 'updating peer');
  }

  // Once a binding and cause; a binding that is fine again may be told of anew.
  #complain(bindings: readonly ServerBinding[], problems: readonly { uuid: string; problem: string }[]): void {
    const current = new Map(problems.map(({ uuid, problem }) => [uuid, problem]));
    for (const uuid of this.#told.keys()) if (!current.has(uuid)) this.#told.delete(uuid);
    for (const [uuid, problem] of current) {
      if (this.#told.get(uuid) === problem) continue;
      this.#told.set(uuid, problem);
      const { log, resources } = this.#options.sidero;
      log.error({ server: uuid, problem }, 'a ServerBinding has no place in the tunnel');
      const binding = bindings.find(({ metadata }) => metadata.name === uuid)!;
      const message = `It has no place in the SideroLink tunnel: ${problem}. The machine gets one when it asks again.`;
      void resources.record(binding, { type: 'Warning', reason: 'SideroLink Peer', message });
    }
  }

  /** Tells the replicas that wait that their machines are let in. */
  async #release(bindings: readonly ServerBinding[]): Promise<void> {
    const { log, resources } = this.#options.sidero;
    // One whose key was replaced meanwhile is waited for by nobody.
    const isOver = ({ metadata, spec }: ServerBinding): boolean => {
      const key = metadata.annotations?.[PENDING_ANNOTATION];
      return key !== undefined && (this.#installed.has(key) || key !== spec?.siderolink?.publicKey);
    };
    const waiting = bindings.filter(isOver);
    await Promise.all(
      waiting.map(async ({ metadata: { name } }) => {
        await resources
          .change(ServerBindingKind, { name }, (draft) => {
            if (!isOver(draft)) return false;
            delete draft.metadata.annotations![PENDING_ANNOTATION];
          })
          .catch((thrown: unknown) => log.debug({ server: name, problem: messageOf(thrown) }, 'a waiting replica could not be told yet'));
      }),
    );
  }
}
