import type { Server } from '@sidero/core';
import { expect, test } from 'vitest';
import { WaitingMachines } from './waiting-machines.ts';

const server = { metadata: { name: 's1' } } as Server;
const ref = (name: string) => ({ namespace: 'default', name });
const names = (waiting: WaitingMachines) => waiting.wake(server).map(({ name }) => name);

test('a server wakes two of those that want it, in turn', () => {
  const waiting = new WaitingMachines();
  for (const name of ['a', 'b', 'c']) waiting.add(ref(name), () => true);
  waiting.add(ref('other'), () => false);
  expect(names(waiting)).toEqual(['a', 'b']);
  expect(names(waiting)).toEqual(['c', 'a']);
});

test('who has got one is not woken any more', () => {
  const waiting = new WaitingMachines();
  waiting.add(ref('a'), () => true);
  waiting.remove(ref('a'));
  expect(names(waiting)).toEqual([]);
});
