import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pathInLocation, pathWithin, placeOf } from './service-place.ts';

describe('an endpoint', () => {
  test.each<[string, number | undefined, string]>([
    ['10.0.0.7', undefined, 'https://10.0.0.7'],
    ['10.0.0.7', 0, 'https://10.0.0.7'],
    ['10.0.0.7', 623, 'https://10.0.0.7'],
    ['10.0.0.7', 8443, 'https://10.0.0.7:8443'],
    ['10.0.0.7:8443', 623, 'https://10.0.0.7:8443'],
    ['bmc.lab', undefined, 'https://bmc.lab'],
    ['fd00::7', 8443, 'https://[fd00::7]:8443'],
    ['[fd00::7]', undefined, 'https://[fd00::7]'],
    ['https://bmc.lab/', 623, 'https://bmc.lab'],
    ['https://bmc.lab:8443', 9443, 'https://bmc.lab:8443'],
    ['http://bmc.lab', 623, 'http://bmc.lab'],
    ['http://bmc.lab', 8000, 'http://bmc.lab:8000'],
  ])('%s with port %s is at %s', (endpoint, port, origin) => {
    expect(placeOf({ endpoint, ...(port !== undefined && { port }) })).toMatchObject({ origin });
  });

  test('names its device with the port', () => {
    expect(placeOf({ endpoint: 'fd00::7' })).toEqual({ origin: 'https://[fd00::7]', device: '[fd00::7]:443' });
  });

  test.each(['', 'https://', 'ftp://bmc', 'https://bmc/path', 'https://bmc?a', 'https://admin:secret@bmc', 'a b', 'bmc:port'])(
    '%s is none',
    (endpoint) => {
      const place = placeOf({ endpoint });
      expect(place).toHaveProperty('problem');
      expect(JSON.stringify(place)).not.toContain('secret');
    },
  );

  test('of any text is a place or a problem', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(), (endpoint, port) => 'problem' in placeOf({ endpoint, port }) || 'origin' in placeOf({ endpoint, port })),
    );
  });

  test('has no port beyond the last', () => {
    expect(placeOf({ endpoint: 'bmc', port: 65_536 })).toHaveProperty('problem');
  });
});

describe('a link', () => {
  const origin = 'https://10.0.0.7:8443';

  test.each([
    ['/redfish/v1/Systems', '/redfish/v1/Systems'],
    ['/redfish/v1/Systems?$skip=10', '/redfish/v1/Systems?$skip=10'],
    ['https://10.0.0.7:8443/redfish', '/redfish'],
    ['/a b', '/a%20b'],
  ])('%s is %s', (link, path) => expect(pathWithin(origin, link)).toBe(path));

  test.each([
    'https://10.0.0.7/redfish',
    'http://10.0.0.7:8443/',
    '//evil.lab/',
    '\\\\evil.lab/',
    'https://10.0.0.7:8443@evil.lab/',
    'javascript:1',
    'https://u:p@10.0.0.7:8443/',
    'https://',
  ])('%s leads elsewhere', (link) => expect(pathWithin(origin, link)).toBeUndefined());

  // For paths fast-check makes a table of all of Unicode first.
  test('never leads to another host', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.webUrl(),
          fc.string(),
          fc.webPath(),
          fc.string().map((text) => `/${text}`),
        ),
        (link) => {
          const path = pathWithin(origin, link);
          expect(path === undefined || (path.startsWith('/') && new URL(origin + path).origin === origin)).toBe(true);
        },
      ),
    );
  });
});

test('a Location is a path of the service, whatever host it names', () => {
  const at = ['/a/1', 'https://bmc.lab/a/1', '//bmc.lab/a/1', 'javascript:1'].map((location) => pathInLocation('https://10.0.0.7', location));
  expect(at).toEqual(['/a/1', '/a/1', '/a/1', undefined]);
});
