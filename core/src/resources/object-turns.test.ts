import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ObjectTurns } from './object-turns.ts';

test('work on one object goes one after another, also after a failure; on another object it goes at once', async () => {
  const turns = new ObjectTurns();
  const order: string[] = [];
  const work = (name: string) => async () => {
    order.push(`${name} begins`);
    await turn();
    order.push(`${name} ends`);
    if (name === 'a') throw new Error('broken');
  };
  const [a, b, c] = [turns.take('x', work('a')), turns.take('x', work('b')), turns.take('y', work('c'))];
  await expect(a).rejects.toThrow('broken');
  await Promise.all([b, c]);
  expect(order.filter((line) => !line.startsWith('c'))).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  expect(order.indexOf('c begins')).toBeLessThan(order.indexOf('a ends'));
});

test('work that does not end holds up the next for a moment only', async () => {
  const turns = new ObjectTurns(20);
  void turns.take('x', () => new Promise(() => undefined));
  expect(await turns.take('x', () => Promise.resolve('done'))).toBe('done');
});
