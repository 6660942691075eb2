import { expect, test } from 'vitest';
import { endpointsOf } from './endpoints.ts';

test.each([
  ['10.0.0.1', ['10.0.0.1:51821']],
  ['fd00::1', ['[fd00::1]:51821']],
  // Talos resolves names too.
  ['no-such-host.invalid', ['no-such-host.invalid:51821']],
])('machines reach WireGuard at %s', async (host, endpoints) => {
  expect(await endpointsOf(host, 51_821)()).toEqual(endpoints);
});

test('all addresses of a name are told', async () => {
  expect(await endpointsOf('localhost', 51_821)()).toContain('127.0.0.1:51821');
});
