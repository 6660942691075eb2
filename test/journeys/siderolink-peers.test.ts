import { createMetrics, ServerBindingKind } from '@sidero/core';
import { aBinding, aServer, FIXTURE_UUID, silentLogger, testSidero } from '@sidero/testing';
import { expect, test } from 'vitest';
import { loopbackNetwork } from '../../plugins/siderolink/src/installation/network.ts';
import { PeerNotes } from '../../plugins/siderolink/src/peers/peer-notes.ts';
import { PeerKeeper } from '../../plugins/siderolink/src/peers/peer-keeper.ts';
import { peerMeters } from '../../plugins/siderolink/src/peers/peer-meters.ts';
import { openLoopbackTunnel } from '../../plugins/siderolink/src/tunnel/loopback.ts';
import type { PeerChange, Tunnel } from '../../plugins/siderolink/src/tunnel/tunnel.ts';
import { aKey } from './siderolink-provision/plane.ts';

/** A device whose first answer is as old as the caller wants it to be. */
async function slowDevice() {
  const device = await openLoopbackTunnel();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const changes: PeerChange[] = [];
  let looks = 0;
  const tunnel: Tunnel = {
    ...device,
    async peers() {
      const states = await device.peers();
      if (++looks === 2) await released;
      return states;
    },
    async apply(wanted) {
      changes.push(...wanted);
      await device.apply(wanted);
    },
  };
  return { tunnel, release, changes, looks: () => looks };
}

// One of a thousand quick Provisions was answered UNAVAILABLE: the peer was in place, and an older answer of the device said that it was not.
test('a machine that is in place stays so when the device answers a question from before that', async () => {
  await using sidero = await testSidero({ objects: [aServer(), aBinding()] });
  const { resources } = sidero;
  const { tunnel, release, changes, looks } = await slowDevice();
  const given = { resources, log: silentLogger(), metrics: createMetrics() };
  const keeper = new PeerKeeper({ tunnel, network: loopbackNetwork(), sidero: given, notes: new PeerNotes(given), meters: peerMeters(given) });
  const stop = new AbortController();
  await keeper.replay();
  const running = keeper.run(stop.signal);
  await expect.poll(looks).toBe(2);

  const publicKey = aKey();
  await resources.change(ServerBindingKind, { name: FIXTURE_UUID }, (draft) => {
    draft.spec = { ...draft.spec!, siderolink: { address: '127.200.1.1/32', publicKey } };
  });
  await keeper.sync();
  expect(keeper.has(publicKey, '127.200.1.1')).toBe(true);
  release();
  await expect.poll(looks).toBeGreaterThan(2);
  expect(keeper.has(publicKey, '127.200.1.1')).toBe(true);
  expect(changes).toEqual([{ publicKey, address: '127.200.1.1' }]);
  stop.abort();
  await running;
});
