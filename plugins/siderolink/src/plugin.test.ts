import { checkConfig } from '@sidero/core';
import { assemble } from '@sidero/core/start';
import { silentLogger } from '@sidero/testing';
import { expect, test } from 'vitest';
import { siderolink } from './plugin.ts';

const FILTER = 'SIDERO_CONTROLLER_MANAGER_EVENTS_NEGATIVE_ADDRESS_FILTER';

/** Sets the plugin up as a start does; nothing runs. */
function setUp(options: Parameters<typeof siderolink>[0], given: { endpoint?: string; variables?: Record<string, string> } = {}) {
  const { endpoint = '127.0.0.1', variables = {} } = given;
  const config = checkConfig({ endpoint, plugins: [siderolink(options)] }, { file: 'sidero.config.ts', variables });
  return assemble({ config, log: silentLogger(), variables });
}

test('the loopback tunnel is refused where machines come from elsewhere', () => {
  expect(() => setUp({ tunnel: 'loopback' })).not.toThrow();
  expect(() => setUp({ tunnel: 'loopback' }, { endpoint: '10.0.0.1' })).toThrow(
    expect.objectContaining({ code: 'SIDERO_SIDEROLINK_LOOPBACK_REFUSED', details: { endpoint: '10.0.0.1' } }),
  );
});

test.each(['10.244.0.0/16,-', '-', ' fd00::/8 , 10.1.2.3/8'])('the address filter %j of the original is taken', (value) => {
  expect(() => setUp({}, { variables: { [FILTER]: value } })).not.toThrow();
});

test.each(['10.244.0.0', '10.244.0.0/33', 'bogus/8'])('the address filter %j ends the start', (value) => {
  expect(() => setUp({}, { variables: { [FILTER]: value } })).toThrow(/negativeAddressFilter.*is no prefix such as 10\.244\.0\.0\/16/);
});
