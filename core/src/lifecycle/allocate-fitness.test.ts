import { expect, test } from 'vitest';
import type { Server } from '../resources/kinds.ts';
import { elsewhere, unfitness } from './allocate-fitness.ts';
import { FENCE_ANNOTATION } from './fence.ts';

const free = { isBound: false, installation: 'us' };
const server = (more: { metadata?: object; spec?: object; status?: object } = {}) =>
  ({
    metadata: { name: 'a', ...more.metadata },
    spec: { accepted: true, ...more.spec },
    status: { isClean: true, inUse: false, ...more.status },
  }) as unknown as Server;
const powerFails = (reason: string) => ({ conditions: [{ type: 'PowerManagement', status: 'False', reason, lastTransitionTime: '' }] });
const fence = (whose: string) => ({ annotations: { [FENCE_ANNOTATION]: `${whose}/1` } });

test.each<[string, Server, string | undefined]>([
  ['is accepted, clean and free', server(), undefined],
  ['is not accepted', server({ spec: { accepted: false } }), 'not accepted'],
  ['has no spec', { metadata: { name: 'a' } } as Server, 'not accepted'],
  ['is cordoned', server({ spec: { cordoned: true } }), 'cordoned'],
  ['is being deleted', server({ metadata: { deletionTimestamp: '2026-11-23T00:00:00Z' } }), 'being deleted'],
  ['is in use', server({ status: { inUse: true } }), 'in use'],
  ['is dirty', server({ status: { isClean: false } }), 'not clean'],
  ['nobody has looked at', server({ status: { isClean: undefined } }), 'not clean'],
  ['could not be wiped', server({ status: { isClean: false, wipe: { state: 'failed' } } }), 'unhealthy: the last wipe failed'],
  ['stands still in a wipe', server({ status: { isClean: false, wipe: { state: 'stalled' } } }), 'unhealthy: the last wipe failed'],
  ['was wiped', server({ status: { wipe: { state: 'done' } } }), undefined],
  ['has a BMC that refuses the login', server({ status: powerFails('AuthFailed') }), 'unhealthy: no way to its BMC (AuthFailed)'],
  ['has a BMC that is silent', server({ status: powerFails('Unreachable') }), 'unhealthy: no way to its BMC (Unreachable)'],
  ['has a busy BMC', server({ status: powerFails('Busy') }), undefined],
  ['belongs to another installation', server({ metadata: fence('them') }), 'fenced by another installation'],
  ['is fenced by us', server({ metadata: fence('us') }), undefined],
])('a server that %s', (...[, given, reason]) => {
  expect(unfitness(given, free)).toBe(reason);
});

test('a server whose ServerBinding is there before its status says so is in use', () => {
  expect(unfitness(server(), { ...free, isBound: true })).toBe('in use');
});

test('a fence does not count for a claim that names the server', () => {
  expect(unfitness(server({ metadata: fence('them') }), { isBound: false, installation: undefined })).toBeUndefined();
});

test('a failure domain is strict', () => {
  const inA = server({ metadata: { labels: { 'topology.kubernetes.io/zone': 'a' } } });
  const claim = { namespace: 'default', name: 'm' };
  expect(elsewhere(inA, { ...claim, failureDomain: 'a' })).toBeUndefined();
  expect(elsewhere(inA, { ...claim, failureDomain: 'b' })).toBe('not in failure domain b');
  expect(elsewhere(server(), { ...claim, failureDomain: 'b' })).toBe('not in failure domain b');
  expect(elsewhere(server(), { ...claim, failureDomain: '' })).toBeUndefined();
});
