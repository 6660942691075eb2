import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Service } from '../registries.ts';
import type { HealthCheck } from './health.ts';

/** Services that were started, and how they do. */
export interface RunningServices {
  /** One check each, for `/readyz`. */
  readonly checks: readonly HealthCheck[];
  /** Settles when all of them are ready. */
  readonly ready: Promise<void>;
  /** Rejects with the first service's error, resolves when all have ended after the abort. */
  readonly done: Promise<void>;
}

/** Runs services until `signal` aborts. */
export function runServices(services: readonly Service[], { log, signal }: { log: Logger; signal: AbortSignal }): RunningServices {
  const isReady = new Set<string>();
  const failed = new Map<string, string>();
  const running = services.map((service) => start(service, { log, signal, isReady, failed }));
  const done = Promise.all(running.map(({ done }) => done)).then(() => undefined);
  const ready = Promise.race([Promise.all(running.map((service) => service.ready)).then(() => undefined), done]);
  // Whoever awaits them gets the error; this only keeps Node from calling it unhandled meanwhile.
  for (const outcome of [done, ready]) outcome.catch(() => undefined);
  return {
    checks: services.map((service) => ({
      name: service.name,
      check: () => (isReady.has(service.name) ? undefined : (failed.get(service.name) ?? 'starting')),
      note: () => service.note?.(),
    })),
    ready,
    done,
  };
}

function start(service: Service, given: { log: Logger; signal: AbortSignal; isReady: Set<string>; failed: Map<string, string> }) {
  const { log, signal, isReady, failed } = given;
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const onReady = (): void => {
    isReady.add(service.name);
    log.debug({ service: service.name }, 'service ready');
    resolve();
  };
  const done = service.run(signal, onReady).catch((thrown: unknown) => {
    isReady.delete(service.name);
    failed.set(service.name, messageOf(thrown));
    if (!signal.aborted) throw thrown;
  });
  done.catch(() => undefined);
  return { ready, done };
}
