import type { PeerChange } from '../tunnel/tunnel.ts';
import type { WantedPeer } from './wanted-peers.ts';

/** What is to be told to the device: who has to go first, then who is new or has another address. `installed`: addresses by key. */
export function changesBetween(installed: ReadonlyMap<string, readonly string[]>, wanted: ReadonlyMap<string, WantedPeer>): readonly PeerChange[] {
  const removed = [...installed.keys()].filter((publicKey) => !wanted.has(publicKey)).map((publicKey) => ({ publicKey, remove: true as const }));
  const set = [...wanted.values()].filter(({ publicKey, address }) => {
    const addresses = installed.get(publicKey);
    return addresses?.length !== 1 || addresses[0] !== address;
  });
  return [...removed, ...set.map(({ publicKey, address }) => ({ publicKey, address }))];
}
