import type { ServerBinding, Sidero } from '@sidero/core';
import { JOIN_ANNOTATION } from '../provision/provision-claim.ts';
import type { PeerState } from '../tunnel/tunnel.ts';
import { LATE_MS } from './link-state.ts';

/** A handshake is renewed every 2 min while there is traffic. */
const FRESH_MS = 180_000;

/** Counts machines in the tunnel. */
export interface PeerMeters {
  /** Of those that joined: who has shown a token, who was given one, who has none. */
  countTokens(bindings: readonly ServerBinding[]): void;
  /** By the age of their last handshake. */
  count(states: readonly PeerState[], now?: number): void;
}

/** `sidero_siderolink_peers{handshake}`, `sidero_siderolink_bindings{token}`. */
export function peerMeters({ metrics }: Pick<Sidero, 'metrics'>): PeerMeters {
  const set = metrics.gauge('sidero_siderolink_peers', 'Machines in the tunnel, by the age of the last handshake.', ['handshake']);
  const setTokens = metrics.gauge('sidero_siderolink_bindings', 'ServerBindings of machines that joined, by their join token.', ['token']);
  return {
    countTokens(bindings) {
      const joined = bindings.filter(({ spec }) => spec?.siderolink?.publicKey);
      const tokens = joined.map(({ metadata }) => metadata.annotations?.[JOIN_ANNOTATION] ?? 'none');
      for (const token of ['none', 'given', 'shown']) setTokens(tokens.filter((one) => one === token).length, { token });
    },
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
