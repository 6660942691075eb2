import type { PeerState, Tunnel } from './tunnel.ts';

/** No WireGuard: machines of a demo talk to us on the loopback interface, each from an address of its own. */
export async function openLoopbackTunnel(): Promise<Tunnel> {
  const peers = new Map<string, PeerState>();
  return {
    kind: 'loopback',
    // Nobody shakes hands: whoever is in place is there.
    peers: async () => [...peers.values()].map((peer) => ({ ...peer, handshakeAt: new Date() })),
    async apply(changes) {
      for (const change of changes) {
        if ('remove' in change) peers.delete(change.publicKey);
        else peers.set(change.publicKey, { publicKey: change.publicKey, addresses: [change.address] });
      }
    },
    lost: new Promise(() => undefined),
    async [Symbol.asyncDispose]() {},
  };
}
