import { expect, test } from 'vitest';
import { createRateLimit } from './rate-limit.ts';

test('a burst passes, then one for each interval', () => {
  let nowMs = 0;
  const limit = createRateLimit({ perSecond: 1, burst: 2, keys: 10, now: () => nowMs });
  expect([limit.take('a'), limit.take('a'), limit.take('a')]).toEqual([true, true, false]);
  nowMs = 1000;
  expect([limit.take('a'), limit.take('a')]).toEqual([true, false]);
});

test('keys do not hinder each other, and only so many are remembered', () => {
  const limit = createRateLimit({ perSecond: 0, burst: 1, keys: 2, now: () => 0 });
  expect([limit.take('a'), limit.take('b'), limit.take('b')]).toEqual([true, true, false]);
  limit.take('c');
  limit.take('d');
  expect(limit.take('b')).toBe(true);
});
