import { expect, test } from 'vitest';
import { FENCE_ANNOTATION, type Server } from '../../index.ts';
import { hasSameGrounds } from './act.ts';
import { Overtaken, UnderWay } from './under-way.ts';

const server: Server = {
  apiVersion: 'metal.sidero.dev/v1alpha2',
  kind: 'Server',
  metadata: { name: 'x', uid: 'uid-1', annotations: { [FENCE_ANNOTATION]: 'us/1' } },
  spec: { accepted: true, bmc: { endpoint: '10.0.0.7', user: 'admin', pass: 'secret' } },
};
const having = (spec: object, metadata: object = {}): Server => ({
  ...server,
  metadata: { ...server.metadata, ...metadata },
  spec: { ...server.spec!, ...spec },
});

test.each<[what: string, now: Server, why: RegExp]>([
  ['names another BMC', having({ bmc: { ...server.spec!.bmc!, endpoint: '10.0.0.8' } }), /BMC was changed/],
  ['names another management API', having({ managementApi: { endpoint: '10.0.0.1:5000' } }), /BMC was changed/],
  ['is not accepted any more', having({ accepted: false }), /not accepted/],
  ['is cordoned', having({ cordoned: true }), /cordoned/],
  ['is being deleted', having({}, { deletionTimestamp: '2026-11-23T12:00:00Z' }), /deleted/],
  ['went to another installation', having({}, { annotations: { [FENCE_ANNOTATION]: 'them/2' } }), /another installation/],
])('a power action for a wipe is broken off when the Server %s', (_, now, why) => {
  const underWay = new UnderWay();
  using running = underWay.begin(server, 'wipe');
  underWay.changed({ ...server, status: { power: 'on' } });
  expect(running.signal.aborted).toBe(false);
  underWay.changed(now);
  expect(running.signal.reason).toBeInstanceOf(Overtaken);
  expect(String(running.signal.reason)).toMatch(why);
  expect(String(running.signal.reason)).not.toContain('secret');
});

test('a decision about a Server holds for no other that was made under its name', () => {
  expect(hasSameGrounds(server, having({}))).toBe(true);
  expect(hasSameGrounds(server, having({}, { uid: 'uid-2' }))).toBe(false);
});
