import { expect, test } from 'vitest';
import { machineOfVirtual, virtualEndpoint } from './virtual-endpoint.ts';

const SUBNET = 'fdae:2859:5bb1:7a03::/64';

test('a machine whose packets come in a stream seems to be in the virtual network of all installations, and is known by it', () => {
  const endpoint = virtualEndpoint('fdae:2859:5bb1:7a03:3ae3:be30:7ec4:4c09/64');
  expect(endpoint).toBe('[fdae:41e4:649b:9304:3ae3:be30:7ec4:4c09]:50888');
  expect(machineOfVirtual(endpoint!, SUBNET)).toBe('fdae:2859:5bb1:7a03:3ae3:be30:7ec4:4c09');
});

test('there is none in the loopback tunnel', () => {
  expect(virtualEndpoint('127.200.1.2/32')).toBeUndefined();
  expect(machineOfVirtual('[fdae:41e4:649b:9304::5]:50888', '127.128.0.0/9')).toBeUndefined();
});

test.each(['', 'bogus', '[fdae:41e4:649b:9303::5]:50888', 'fdae:41e4:649b:9304::5', '10.0.0.1:50888', '[10.0.0.1]:50888'])(
  '%j is no machine',
  (endpoint) => {
    expect(machineOfVirtual(endpoint, SUBNET)).toBeUndefined();
  },
);
