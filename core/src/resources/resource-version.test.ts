import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNewer, newest } from './resource-version.ts';

describe('resource versions', () => {
  test('are compared as whole numbers of any length', () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n }), fc.bigInt({ min: 0n }), (a, b) => isNewer(String(a), String(b)) === a > b));
    expect(isNewer('10', '9')).toBe(true);
    expect(isNewer('007', '7')).toBe(false);
  });

  test('that are no numbers have no order', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => !(isNewer(a, b) && isNewer(b, a))));
    expect(isNewer('abc', '1')).toBe(false);
    expect(isNewer(undefined, '1')).toBe(false);
  });

  test('the newest of two is the later one, and the only one there is', () => {
    expect(newest('3', '20')).toBe('20');
    expect(newest('20', '3')).toBe('20');
    expect(newest(undefined, '3')).toBe('3');
    expect(newest('3', undefined)).toBe('3');
  });
});
