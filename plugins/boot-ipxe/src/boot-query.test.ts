import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBootQuery } from './boot-query.ts';
import { parseMac } from './mac.ts';

describe('a MAC address', () => {
  test.each([
    ['52-54-00-12-34-56', '52:54:00:12:34:56'],
    ['52:54:00:AB:cd:ef', '52:54:00:ab:cd:ef'],
    ['5254.0012.3456', '52:54:00:12:34:56'],
    ['525400123456', '52:54:00:12:34:56'],
    ['00-11-22-33-44-55-66-77', '00:11:22:33:44:55:66:77'],
    ['00'.repeat(20), Array.from({ length: 20 }, () => '00').join(':')],
    ['', undefined],
    ['52-54-00-12-34', undefined],
    ['2-54-00-12-34-56', undefined],
    ['52-54:00-12-34-56', undefined],
    ['52:54:00:12:34:5g', undefined],
    ['52:54:00:12:34:56:', undefined],
    ['5254.0012.34.56', undefined],
    ['52 54 00 12 34 56', undefined],
  ])('%j is %j', (text, mac) => expect(parseMac(text)).toBe(mac));

  test('once read, reads as itself', () => {
    const bytes = fc.constantFrom(6, 8, 20).chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
    fc.assert(
      fc.property(bytes, fc.constantFrom(':', '-', ''), (given, separator) => {
        const mac = parseMac([...given].map((byte) => byte.toString(16).padStart(2, '0')).join(separator));
        expect(mac).toBeDefined();
        expect(parseMac(mac!)).toBe(mac);
      }),
    );
  });
});

describe('the query of /ipxe', () => {
  test('is read in the form iPXE sends', () => {
    const query = 'uuid=4c4c4544-0039-3010-8048-b7c04f384432&mac=52-54-00-12-34-56&domain=&hostname=a%20b&serial=x&arch=x86_64';
    expect(parseBootQuery(query)).toEqual({ uuid: '4c4c4544-0039-3010-8048-b7c04f384432', mac: '52:54:00:12:34:56', arch: 'amd64' });
  });

  test.each([
    ['', { uuid: '', mac: '', arch: 'amd64' }],
    ['uuid=A&uuid=b', { uuid: 'a' }],
    ['UUID=a', { uuid: '' }],
    ['uuid=a/b', { uuid: '' }],
    ['uuid=../x', { uuid: '' }],
    ['uuid=%00', { uuid: '' }],
    ['uuid=%E0%A4%A', { uuid: '' }],
    [`uuid=${'a'.repeat(254)}`, { uuid: '' }],
    ['arch=arm64', { arch: 'arm64' }],
    ['arch=ARM64', { arch: 'amd64' }],
    ['arch=i386', { arch: 'amd64' }],
    ['mac=nonsense', { mac: '' }],
  ])('%j gives %j', (query, expected) => expect(parseBootQuery(query)).toMatchObject(expected));

  test('any text gives an answer that is safe to use as a name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (query) => {
        expect(parseBootQuery(query).uuid).toMatch(/^[a-z\d.-]*$/);
      }),
    );
  });
});
