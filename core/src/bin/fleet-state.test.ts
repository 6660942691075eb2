import { expect, test } from 'vitest';
import type { KubeEvent, Server } from '../resources/kinds.ts';
import { fleetState, fleetText } from './fleet-state.ts';

const now = new Date('2026-11-29T12:00:00Z');
const aServer = (name: string, step: string, reason?: string): Server => ({
  apiVersion: 'metal.sidero.dev/v1alpha2',
  kind: 'Server',
  metadata: { name },
  spec: { accepted: true, hostname: `host-${name}` },
  status: { inUse: false, isClean: true, ready: reason === undefined, step: { name: step, reason: reason ?? '', since: '2026-11-29T11:00:00Z' } },
});
const aWarning = (name: string, lastTimestamp: string): KubeEvent => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: `${name}.1`, namespace: 'default' },
  involvedObject: { kind: 'Server', name },
  type: 'Warning',
  reason: 'Server Boot',
  message: 'it waits',
  firstTimestamp: '2026-11-29T11:50:00Z',
  lastTimestamp,
});

test('servers are counted, and those told of that are not ready or that a recent Warning is about', () => {
  const servers = [aServer('a', 'Clean'), aServer('b', 'BmcTrouble', 'no answer'), aServer('c', 'InUse'), aServer('d', 'Clean')];
  const state = fleetState(servers, [aWarning('c', '2026-11-29T11:59:00Z'), aWarning('d', '2026-11-29T11:00:00Z')], now);
  expect(state.states).toEqual({ Clean: 2, BmcTrouble: 1, InUse: 1 });
  expect(fleetText(state, (time) => time.slice(11, 16))).toEqual([
    '4 servers: 2 Clean, 1 BmcTrouble, 1 InUse',
    'SERVER  HOSTNAME  STATE        SINCE  WHY',
    'b       host-b    BmcTrouble   11:00  no answer',
    'c       host-c    Server Boot  11:50  it waits',
    'sidero why SERVER tells what to do',
  ]);
});

test('a fleet at peace takes two lines', () => {
  expect(fleetText(fleetState([aServer('a', 'Clean')], [], now), String)).toHaveLength(2);
});
