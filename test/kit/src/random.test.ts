import { expect, test } from 'vitest';
import { seededRandom } from './random.ts';

const sequence = (...seed: (string | number)[]) => {
  const random = seededRandom(...seed);
  return Array.from({ length: 8 }, () => random.between(0, 1_000_000));
};

test('the same seed gives the same sequence', () => {
  expect(sequence('demo', 1)).toEqual(sequence('demo', 1));
});

test('seeds that differ in one part give different sequences', () => {
  expect(sequence('demo', 1)).not.toEqual(sequence('demo', 2));
  expect(sequence('demo1')).not.toEqual(sequence('demo', 1));
});

test('between reaches both ends and nothing outside', () => {
  const random = seededRandom('ends');
  const drawn = new Set(Array.from({ length: 500 }, () => random.between(3, 6)));
  expect(drawn).toEqual(new Set([3, 4, 5, 6]));
});

test('chance is right within what 10,000 draws allow', () => {
  const random = seededRandom('chance');
  const hits = Array.from({ length: 10_000 }, () => random.chance(0.1)).filter(Boolean).length;
  expect(hits).toBeGreaterThan(850);
  expect(hits).toBeLessThan(1150);
});
