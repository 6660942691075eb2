import type { Service } from '@sidero/core';
import { describe, expect, test } from 'vitest';

/** Time in which a service must be ready, and must have stopped; `sidero start` itself stops within 2 s. */
const LIMIT_MS = 2000;

function limit(what: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    setTimeout(() => reject(new Error(`${what} took longer than ${LIMIT_MS} ms`)), LIMIT_MS).unref();
  });
}

/** Runs a service until it is ready. */
async function start(service: Service) {
  const stop = new AbortController();
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const done = service.run(stop.signal, resolve);
  await Promise.race([ready, done.then(() => Promise.reject(new Error('the service ended before it was ready'))), limit('getting ready')]);
  return { stop, done };
}

/** What every service must do. `service` makes the same one each time: same port, same files. */
export function describeService(name: string, service: () => Service | Promise<Service>): void {
  describe(`service ${name}`, () => {
    test('has the name it is listed under, and says where it runs', async () => {
      const made = await service();
      expect(made.name).toBe(name);
      expect(['leader', 'every']).toContain(made.where);
    });

    test('gets ready, and returns soon after the abort', async () => {
      const { stop, done } = await start(await service());
      stop.abort();
      await Promise.race([done, limit('stopping')]);
    });

    test('lets go of what it held: it can be started again at once', async () => {
      for (let round = 0; round < 3; round++) {
        const { stop, done } = await start(await service());
        stop.abort();
        await Promise.race([done, limit('stopping')]);
      }
    });

    test('does not run when it is aborted before it starts', async () => {
      const run = (await service()).run(AbortSignal.abort(), () => undefined);
      await Promise.race([run.catch(() => undefined), limit('stopping')]);
    });
  });
}
