import { expect, test, vi } from 'vitest';
import type { ServerEvent } from '../hooks.ts';
import { StreamQueue } from './stream-queue.ts';

const event = (detail: string): ServerEvent => ({ type: 'accepted', uuid: '4c4c', detail, at: new Date(0) });
const detailOf = (told: ServerEvent) => ('detail' in told ? told.detail : undefined);

function slowTap(length: number) {
  const told: (string | undefined)[] = [];
  const answers: (() => void)[] = [];
  let dropped = 0;
  const tell = (given: ServerEvent) => {
    told.push(detailOf(given));
    return new Promise<void>((resolve) => answers.push(resolve));
  };
  const queue = new StreamQueue({ tell, length, onDrop: () => void dropped++ });
  const answer = () => answers.shift()!();
  return { queue, told, answer, dropped: () => dropped };
}

test('a tap that answers at once is told at once', () => {
  const told = vi.fn<(given: ServerEvent) => void>();
  const queue = new StreamQueue({ tell: told, onDrop: () => undefined });
  queue.push(event('1'));
  queue.push(event('2'));
  expect(told.mock.calls.map(([given]) => detailOf(given))).toEqual(['1', '2']);
});

test('a tap that takes its time gets one after the other, in order', async () => {
  const { queue, told, answer } = slowTap(10);
  for (const detail of ['1', '2', '3']) queue.push(event(detail));
  expect(told).toEqual(['1']);
  answer();
  await expect.poll(() => told).toEqual(['1', '2']);
  answer();
  await expect.poll(() => told).toEqual(['1', '2', '3']);
  answer();
  queue.push(event('4'));
  await expect.poll(() => told).toEqual(['1', '2', '3', '4']);
});

test('of what a tap is too slow for, the oldest is dropped and counted', async () => {
  const { queue, told, answer, dropped } = slowTap(2);
  for (const detail of ['1', '2', '3', '4', '5', '6', '7']) queue.push(event(detail));
  expect(dropped()).toBe(4);
  answer();
  await expect.poll(() => told).toEqual(['1', '6']);
  answer();
  await expect.poll(() => told).toEqual(['1', '6', '7']);
});
