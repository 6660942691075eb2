import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

test('work for one machine is done in its order, and others do not wait', async () => {
  const turns = new Turns(2);
  const done: string[] = [];
  const first = Promise.withResolvers<void>();
  const a1 = turns.take('a', () => first.promise.then(() => void done.push('a1')));
  const a2 = turns.take('a', async () => void done.push('a2'));
  await turns.take('b', async () => void done.push('b1'));
  expect([done, turns.isFull('a'), turns.isFull('b')]).toEqual([['b1'], true, false]);
  first.resolve();
  await Promise.all([a1, a2]);
  expect([done, turns.isFull('a')]).toEqual([['b1', 'a1', 'a2'], false]);
});

test('work that fails holds up nothing', async () => {
  const turns = new Turns(2);
  const failed = turns.take('a', () => Promise.reject(new Error('no')));
  const next = turns.take('a', async () => 'yes');
  await expect(failed).rejects.toThrow('no');
  expect(await next).toBe('yes');
});
