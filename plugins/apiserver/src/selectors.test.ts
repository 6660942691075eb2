import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fieldSelector, labelSelector } from './selectors.ts';
import { ApiError } from './status.ts';

describe('label selectors', () => {
  test.each([
    ['a=b', { a: 'b' }, true],
    ['a==b', { a: 'c' }, false],
    ['a!=b', {}, true],
    ['a in (b, c),x', { a: 'c', x: '' }, true],
    ['a notin (b)', { a: 'b' }, false],
    ['a notin (b)', {}, true],
    ['!a', { a: 'b' }, false],
    ['a', { a: '' }, true],
    ['example.dev/name=x', { 'example.dev/name': 'x' }, true],
    ['constructor', {}, false],
  ])('%s on %j is %s', (text, labels, expected) => {
    expect(labelSelector(text)!(labels as Record<string, string>)).toBe(expected);
  });

  test('no text crashes it: what cannot be read is a Status', () => {
    const pieces = fc.array(fc.constantFrom('a', 'in', 'notin', '(', ')', ',', '=', '==', '!=', '!', ' ', 'b/c', '@', '\n'), { maxLength: 12 });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          pieces.map((all) => all.join('')),
        ),
        (text) => {
          try {
            labelSelector(text)?.({ a: 'b' });
            fieldSelector(text, new Set(['a']))?.matches({ a: 'b' });
          } catch (error) {
            expect(error).toBeInstanceOf(ApiError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
