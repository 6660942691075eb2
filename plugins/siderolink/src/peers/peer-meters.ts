import type { Sidero } from '@sidero/core';
import type { PeerState } from '../tunnel/tunnel.ts';

/** A handshake is renewed every 2 min while there is traffic; Talos gives a session up at 275 s. */
const FRESH_MS = 180_000;
const LATE_MS = 275_000;

/** Counts peers by the age of their last handshake. */
export interface PeerMeters {
  count(states: readonly PeerState[], now?: number): void;
}

/** `sidero_siderolink_peers{handshake}`. */
export function peerMeters({ metrics }: Pick<Sidero, 'metrics'>): PeerMeters {
  const set = metrics.gauge('sidero_siderolink_peers', 'Machines in the tunnel, by the age of the last handshake.', ['handshake']);
  return {
    count(states, now = Date.now()) {
      const ages = states.map(({ handshakeAt }) => (handshakeAt ? now - handshakeAt.getTime() : undefined));
      const counted = (fits: (age: number | undefined) => boolean) => ages.filter(fits).length;
      set(
        counted((age) => age === undefined),
        { handshake: 'never' },
      );
      set(
        counted((age) => age !== undefined && age <= FRESH_MS),
        { handshake: 'up to 180 s' },
      );
      set(
        counted((age) => age !== undefined && age > FRESH_MS && age <= LATE_MS),
        { handshake: 'up to 275 s' },
      );
      set(
        counted((age) => age !== undefined && age > LATE_MS),
        { handshake: 'older' },
      );
    },
  };
}
