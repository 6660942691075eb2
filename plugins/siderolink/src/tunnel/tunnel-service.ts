import { hasCode, messageOf, orAborted, SecretKind, type Service, type Sidero } from '@sidero/core';
import { setTimeout as delay } from 'node:timers/promises';
import type { InstallationDesk, KnownInstallation } from '../installation/installation.ts';
import { canonicalAddress } from '../installation/network.ts';
import { SECRET_REF, TUNNEL_REASON } from '../installation/secret.ts';
import type { LinkListener, LinkPlace } from '../link.ts';
import { PeerNotes } from '../peers/peer-notes.ts';
import { hangUp } from '../peers/hang-up.ts';
import { connectionsText, type LinkConnection } from '../peers/link-connections.ts';
import { PeerKeeper } from '../peers/peer-keeper.ts';
import { type PeerMeters, peerMeters } from '../peers/peer-meters.ts';
import type { SideroLinkOptions } from '../plugin.ts';
import { holdName } from './hold-name.ts';
import { chooseTunnel } from './choose-tunnel.ts';
import type { OpenTunnel, Tunnel } from './tunnel.ts';

/** Without the means for a tunnel, it is tried again after this. */
const AGAIN_MS = 30_000;
/** Waits after failures in a row; the first is made good at once. */
const WAITS_MS = [0, 200, 1000, 3000, 10_000];
/** A tunnel that stood for so long was no failure in a row. */
const STEADY_MS = 60_000;
const LISTEN_AGAIN_MS = 2000;
/** Listeners have so long to let go of their ports before the next device comes up. */
const CLOSE_MS = 500;

/** What this replica's tunnel is now, for those who answer machines. */
export interface TunnelState {
  /** There while this replica has the tunnel. */
  keeper?: PeerKeeper | undefined;
  /** Why this replica, which leads, has none. */
  problem?: string | undefined;
}

export interface TunnelServiceOptions {
  readonly sidero: Sidero;
  readonly options: SideroLinkOptions;
  readonly desk: InstallationDesk;
  readonly listeners: readonly LinkListener[];
  readonly state: TunnelState;
}

/** Keeps the tunnel up while this replica leads: device, peers, and the listeners inside. */
export function tunnelService(given: TunnelServiceOptions): Service {
  const runner = new TunnelRunner(given);
  return { name: 'siderolink-tunnel', where: 'leader', run: (signal, ready) => runner.run(signal, ready) };
}

class TunnelRunner {
  readonly #given: TunnelServiceOptions;
  readonly #open: OpenTunnel;
  readonly #notes: PeerNotes;
  readonly #meters: PeerMeters;
  readonly #isUp: (value: number) => void;
  readonly #restarted: (labels: { cause: string }) => void;

  constructor(given: TunnelServiceOptions) {
    const { metrics, log } = given.sidero;
    this.#given = given;
    this.#open = chooseTunnel(given.options.tunnel, log);
    this.#notes = new PeerNotes(given.sidero, { connectionsOf: (address) => connectionsText(connectionsAt(address, given.listeners)) });
    this.#meters = peerMeters(given.sidero);
    this.#isUp = metrics.gauge('sidero_siderolink_up', 'Whether this replica has the tunnel: 1 or 0.');
    this.#restarted = metrics.counter('sidero_siderolink_restarts_total', 'Times that the tunnel was made anew, by cause.', ['cause']);
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const beganMs = performance.now();
      const waitMs = await this.#once(signal, ready).catch((thrown: unknown) => this.#failed(thrown, signal));
      if (waitMs === 'ended') return;
      failures = performance.now() - beganMs > STEADY_MS ? 0 : failures + 1;
      const pause = Math.max(waitMs, WAITS_MS[Math.min(failures, WAITS_MS.length) - 1] ?? 0);
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  // One life of a device. Returns how long to wait before the next.
  async #once(signal: AbortSignal, ready: () => void): Promise<number | 'ended'> {
    const { desk, options, sidero, state } = this.#given;
    const installation = await orAborted(desk.first, signal).then((first) => desk.known ?? first);
    const { serverAddress: address, privateKey, network } = installation;
    const plan = { interface: options.interface, port: options.port, privateKey, address, prefixLength: network.prefixLength };
    await using _name = options.tunnel === 'loopback' ? undefined : await holdName(plan.interface);
    await using tunnel = await this.#open(plan, signal);
    const life = new AbortController();
    const keeper = new PeerKeeper({ tunnel, network, sidero, notes: this.#notes, meters: this.#meters });
    await keeper.replay();
    state.keeper = keeper;
    state.problem = undefined;
    this.#isUp(1);
    sidero.log.info({ tunnel: tunnel.kind, interface: plan.interface, address, port: plan.port }, 'SideroLink is up');
    this.#record('Normal', `The tunnel is up (${tunnel.kind}).`);
    ready();
    const serving = this.#serve(installation, keeper, AbortSignal.any([signal, life.signal]));
    try {
      const cause = await this.#live({ tunnel, keeper, signal: AbortSignal.any([signal, life.signal]) });
      if (signal.aborted) return 'ended';
      this.#restarted({ cause: cause.kind });
      sidero.log.error({ problem: cause.text }, 'the SideroLink tunnel is lost, and made anew');
      this.#record('Warning', `The tunnel is lost, and made anew: ${cause.text}.`);
      return 0;
    } finally {
      state.keeper = undefined;
      this.#isUp(0);
      this.#meters.count([]);
      life.abort();
      await Promise.race([serving, delay(CLOSE_MS, undefined, { ref: false })]);
    }
  }

  async #live({ tunnel, keeper, signal }: { tunnel: Tunnel; keeper: PeerKeeper; signal: AbortSignal }): Promise<{ kind: string; text: string }> {
    const replaced = new Promise<{ kind: string; text: string }>((resolve) =>
      this.#given.desk.watch(() => resolve({ kind: 'secret', text: 'the Secret is another one' }), signal),
    );
    const kept = keeper.run(signal).then(
      () => ({ kind: 'stopped', text: 'it was stopped' }),
      (thrown: unknown) => ({ kind: 'device', text: messageOf(thrown) }),
    );
    return Promise.race([kept, replaced, tunnel.lost.then((text) => ({ kind: 'device', text }))]);
  }

  /** Settles once all listeners have ended after the abort. */
  async #serve({ serverAddress: host, network }: KnownInstallation, keeper: PeerKeeper, signal: AbortSignal): Promise<void> {
    await hangUp(keeper.calls(), { host, signal });
    const isMachine = (from: string) => network.isMachine(canonicalAddress(from) ?? '');
    const place: LinkPlace = { host, isMachine, connected: () => keeper.lookSoon() };
    await Promise.all(this.#given.listeners.map((listener) => this.#listen(listener, place, signal)));
  }

  // A listener that fails must not take the tunnel with it.
  async #listen(listener: LinkListener, place: LinkPlace, signal: AbortSignal): Promise<void> {
    const { log } = this.#given.sidero;
    while (!signal.aborted) {
      try {
        await listener.serve(place, signal, () => log.debug({ listener: listener.name, port: listener.port }, 'listening in the tunnel'));
      } catch (thrown) {
        if (!signal.aborted)
          log.error({ listener: listener.name, port: listener.port, problem: messageOf(thrown) }, 'a listener in the tunnel failed');
      }
      await delay(LISTEN_AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  // For people: `sidero why` shows the last one while it is a warning.
  #record(type: 'Normal' | 'Warning', message: string): void {
    const about = { apiVersion: SecretKind.apiVersion, kind: SecretKind.kind, metadata: SECRET_REF };
    void this.#given.sidero.resources.record(about, { type, reason: TUNNEL_REASON, message });
  }

  /** A tunnel that was demanded and cannot be stops the process; any other is done without, for machines must boot. */
  #failed(thrown: unknown, signal: AbortSignal): number | 'ended' {
    if (signal.aborted) return 'ended';
    const { options, sidero, state } = this.#given;
    const isHopeless = hasCode(thrown, 'SIDERO_SIDEROLINK_TUNNEL_UNAVAILABLE') || hasCode(thrown, 'SIDERO_SIDEROLINK_INTERFACE_TAKEN');
    if (isHopeless && options.tunnel !== 'auto') throw thrown;
    const problem = messageOf(thrown);
    const next = isHopeless ? thrown.next : 'it is tried again';
    if (state.problem !== problem) {
      sidero.log.error({ problem, next }, 'no SideroLink: machines boot, and their logs and events stay away');
      this.#record('Warning', `There is no tunnel: ${problem} Next: ${next}`);
    }
    state.problem = problem;
    this.#isUp(0);
    if (!isHopeless) this.#restarted({ cause: 'failure' });
    return isHopeless ? AGAIN_MS : 0;
  }
}

function connectionsAt(address: string, listeners: readonly LinkListener[]): readonly LinkConnection[] {
  return listeners.flatMap(({ port: ownPort, portOf }) => {
    const machinePort = portOf(address);
    return machinePort === undefined ? [] : [{ ownPort, machinePort }];
  });
}
