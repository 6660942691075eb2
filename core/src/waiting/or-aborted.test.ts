import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { orAborted } from './or-aborted.ts';

test('gives what the work gives, and leaves no listener', async () => {
  const { signal } = new AbortController();
  expect(await orAborted(Promise.resolve(7), signal)).toBe(7);
  await expect(orAborted(Promise.reject(new Error('it failed')), signal)).rejects.toThrow('it failed');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('ends with the reason of the signal, while the work goes on', async () => {
  const stop = new AbortController();
  const work = Promise.withResolvers<void>();
  const waiting = orAborted(work.promise, stop.signal);
  stop.abort(new Error('no longer wanted'));
  await expect(waiting).rejects.toThrow('no longer wanted');
  // Nobody waits any more: a failure now must not end the process.
  work.reject(new Error('late'));
  await expect(orAborted(Promise.resolve(), stop.signal)).rejects.toThrow('no longer wanted');
});
