import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasCode } from '../errors.ts';
import { labelSelector } from './label-selector.ts';

const labels = { zone: 'a', 'sidero.dev/arch': 'amd64', empty: '', in: 'x' };

describe('label selector', () => {
  test.each([
    ['', true],
    ['  ', true],
    ['zone=a', true],
    ['zone==a', true],
    ['zone = a', true],
    ['zone=b', false],
    ['zone!=b', true],
    ['zone!=a', false],
    ['other!=a', true],
    ['zone', true],
    ['other', false],
    ['!other', true],
    ['!zone', false],
    ['zone in (a, b)', true],
    ['zone in (b)', false],
    ['other in (a)', false],
    ['zone notin (b,c)', true],
    ['zone notin (a)', false],
    ['other notin (a)', true],
    ['sidero.dev/arch=amd64,zone in (a),!other', true],
    ['sidero.dev/arch=amd64,zone in (b)', false],
    ['empty=', true],
    ['zone=', false],
    ['in in (x)', true],
  ])('"%s" selects: %s', (selector, selected) => {
    expect(labelSelector(selector)(labels)).toBe(selected);
  });

  test('an object without labels is selected by what asks for none', () => {
    expect(labelSelector('')(undefined)).toBe(true);
    expect(labelSelector('a!=b')(undefined)).toBe(true);
    expect(labelSelector('a')(undefined)).toBe(false);
    expect(labelSelector('constructor')({})).toBe(false);
  });

  test.each(['a=b,', ',', 'a in ()x', 'a in b', 'a===b', '=a', 'a b', 'zone in (a', '-a=b', 'a=b c', 'a/b/c=d'])('"%s" is refused', (selector) => {
    expect(() => labelSelector(selector)).toThrow(expect.objectContaining({ code: 'SIDERO_SELECTOR_INVALID' }));
  });

  test('any text is read or refused by its code, soon', () => {
    const characters = fc.string({
      unit: fc.constantFrom('a', 'B', '1', '-', '.', '_', '/', '=', '!', ',', '(', ')', ' ', 'in', 'é'),
      maxLength: 60,
    });
    fc.assert(
      fc.property(fc.oneof(characters, fc.string()), (selector) => {
        try {
          expect(typeof labelSelector(selector)(labels)).toBe('boolean');
        } catch (thrown) {
          expect(hasCode(thrown, 'SIDERO_SELECTOR_INVALID')).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
    expect(() => labelSelector(`a=${'a'.repeat(50_000)}!`)).toThrow();
  });
});
