import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import type { Service } from '../registries.ts';
import { runServices } from './run-services.ts';

const log = createLogger({ level: 'silent' });
let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
});
const run = (...services: Service[]) => runServices(services, { log, signal: stop.signal });

const steady = (name: string): Service => ({
  name,
  where: 'every',
  async run(signal, ready) {
    ready();
    await once(signal, 'abort');
  },
});

test('a service that runs passes its check, and ends with the signal', async () => {
  const { ready, done, checks } = run(steady('tftp'));
  await ready;
  expect(checks.map(({ check }) => check())).toEqual([undefined]);
  stop.abort();
  await done;
});

test('a service that serves may have something to be known', () => {
  const { checks } = run({ ...steady('siderolink'), note: () => 'no tunnel' });
  expect([checks[0]!.check(), checks[0]!.note?.()]).toEqual([undefined, 'no tunnel']);
});

test('a service that is not ready yet says so', () => {
  const { checks } = run({ name: 'slow', where: 'every', run: (signal) => once(signal, 'abort').then(() => undefined) });
  expect(checks[0]!.check()).toBe('starting');
});

test('a service that fails at once fails the start with its own error, however late somebody waits for it', async () => {
  const { ready, done, checks } = run(steady('http'), { name: 'tftp', where: 'every', run: () => Promise.reject(new Error('port 69 is taken')) });
  await turn();
  await expect(ready).rejects.toThrow('port 69 is taken');
  await expect(done).rejects.toThrow('port 69 is taken');
  expect(checks[1]!.check()).toBe('port 69 is taken');
});

test('an error while stopping is none', async () => {
  const { done } = run({
    name: 'rude',
    where: 'every',
    async run(signal) {
      await once(signal, 'abort');
      throw new Error('aborted');
    },
  });
  stop.abort();
  await expect(done).resolves.toBeUndefined();
});
