import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sequenceWindow } from './sequence-window.ts';

test('each number is taken once, in any order within 32', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(Array.from({ length: 32 }, (_, index) => index + 1)), fc.nat(0xffffff00), (order, base) => {
      const window = sequenceWindow();
      const numbers = order.map((offset) => base + offset);
      expect(numbers.map((number) => window.accept(number))).toEqual(numbers.map(() => true));
      expect(numbers.map((number) => window.accept(number))).toEqual(numbers.map(() => false));
    }),
  );
});

test('what is too old is a repetition, what is far ahead is not', () => {
  const window = sequenceWindow();
  expect([1, 1000, 968, 969, 999, 1000, 0xffffffff].map((number) => window.accept(number))).toEqual([true, true, false, true, true, false, true]);
});

test('0 is no number of a session', () => {
  expect(sequenceWindow().accept(0)).toBe(false);
});
