import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commandsFor, parseLease } from './lease.ts';

const lease = (variables: Record<string, string>) => parseLease({ ip: '10.0.0.7', mask: '24', ...variables })!;

test('an ordinary lease becomes an address and a default route', () => {
  expect(commandsFor('eth0', lease({ router: '10.0.0.1', mtu: '9000' }), 100).map((args) => args.join(' '))).toEqual([
    'link set dev eth0 mtu 9000',
    '-4 addr flush dev eth0',
    'addr add 10.0.0.7/24 broadcast + dev eth0',
    'route replace 0.0.0.0/0 via 10.0.0.1 dev eth0 metric 100',
  ]);
});

test('classless static routes replace the router option', () => {
  const { routes } = lease({ router: '10.0.0.1', staticroutes: '10.1.0.0/16 10.0.0.2 192.168.0.0/24 0.0.0.0' });
  expect(routes).toEqual([
    { destination: '10.1.0.0/16', gateway: '10.0.0.2' },
    { destination: '192.168.0.0/24', gateway: undefined },
  ]);
});

test('a gateway outside a /32 lease gets a route of its own', () => {
  expect(
    commandsFor('eth0', lease({ mask: '32', router: '10.0.0.1' }), 100)
      .slice(-2)
      .map((args) => args.join(' ')),
  ).toEqual(['route replace 10.0.0.1/32 dev eth0 metric 100', 'route replace 0.0.0.0/0 via 10.0.0.1 dev eth0 metric 100']);
});

test('nonsense is left out', () => {
  expect(lease({ mask: '99', mtu: '68', hostname: 'a b', dns: 'x 10.0.0.2', router: 'y', staticroutes: '10.0.0.0/99 10.0.0.1 7' })).toEqual({
    address: '10.0.0.7',
    prefixLength: 24,
    routes: [],
    nameServers: ['10.0.0.2'],
    hostname: undefined,
    mtu: undefined,
  });
  expect(parseLease({ ip: 'nowhere' })).toBeUndefined();
});

test('no variables lead to anything but plain arguments', () => {
  const variables = fc.dictionary(
    fc.constantFrom('ip', 'mask', 'router', 'dns', 'hostname', 'mtu', 'staticroutes'),
    fc.oneof(fc.string(), fc.ipV4(), fc.nat().map(String)),
  );
  fc.assert(
    fc.property(variables, (given) => {
      const parsed = parseLease(given);
      if (!parsed) return;
      for (const argument of commandsFor('eth0', parsed, 100).flat()) expect(argument).toMatch(/^[\w./+-]+$/);
    }),
  );
});
