import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, SideroError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Change, ResourceClient } from '../resources/client.ts';
import type { Kind, KubeObject, Ref } from '../resources/kinds.ts';
import { keyOf, refOf } from '../resources/object-cache.ts';
import type { Controller, LateKind } from './controller.ts';
import { WorkQueue } from './work-queue.ts';

const DEFAULT_CONCURRENCY = 10;
const DEFAULT_DEADLINE_MS = 60_000;
const DEFAULT_GRACE_MS = 5_000;
const DEFAULT_LATE_KIND_MS = 10_000;
/** Messages about one object that are remembered as logged. */
const MAX_MESSAGES = 20;
const SECONDS_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export interface RunControllersOptions {
  readonly controllers: readonly Controller<KubeObject>[];
  readonly client: Pick<ResourceClient, 'watch'> & { synced?(signal?: AbortSignal): Promise<void> };
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  /** A reconcile that takes longer is warned about and gives its place to the next object, while it goes on. Default 60 s. */
  readonly deadlineMs?: number;
  /** How often a kind that is not there yet is asked for. Default 10 s. */
  readonly lateKindMs?: number;
  /** How long the end of running reconciles is waited for after the abort. Default 5 s. */
  readonly graceMs?: number;
}

/**
 * Runs the loops until the signal aborts and what was being worked on has ended. Every object is looked at once in the
 * beginning and again after each change of it, or of an object that refers to it. Never rejects.
 */
export async function runControllers(options: RunControllersOptions): Promise<void> {
  await Promise.all(options.controllers.map((controller) => new ControllerLoop(controller, options).run()));
}

class ControllerLoop {
  readonly #controller: Controller<KubeObject>;
  readonly #options: RunControllersOptions;
  readonly #log: Logger;
  readonly #queue: WorkQueue;
  readonly #running = new Map<string, Promise<void>>();
  /** Ends the wait of each worker for its reconcile, or for the deadline. */
  readonly #waits = new Set<(isLate: boolean) => void>();
  /** What was logged about objects whose last reconcile failed. */
  readonly #logged = new Map<string, Set<string>>();
  readonly #count: (result: 'success' | 'requeue' | 'error') => void;
  readonly #observe: (seconds: number) => void;
  readonly #overdue: (by: number) => void;

  constructor(controller: Controller<KubeObject>, options: RunControllersOptions) {
    this.#controller = controller;
    this.#options = options;
    const labels = { controller: controller.name };
    this.#log = options.log.child(labels);
    const { metrics } = options;
    const count = metrics.counter('sidero_reconcile_total', 'Reconciles by their result.', ['controller', 'result']);
    const observe = metrics.histogram('sidero_reconcile_seconds', 'Duration of reconciles.', { labels: ['controller'], buckets: SECONDS_BUCKETS });
    const length = metrics.gauge('sidero_reconcile_queue_length', 'Objects that wait to be reconciled.', ['controller']);
    const overdue = metrics.gauge('sidero_reconcile_overdue', 'Reconciles that run beyond their deadline.', ['controller']);
    let overdueNow = 0;
    this.#count = (result) => count({ ...labels, result });
    this.#observe = (seconds) => observe(seconds, labels);
    this.#overdue = (by) => overdue((overdueNow += by), labels);
    this.#queue = new WorkQueue((due) => length(due, labels));
  }

  async run(): Promise<void> {
    const { signal, client, graceMs = DEFAULT_GRACE_MS } = this.#options;
    const watches = this.#watch();
    const stop = () => {
      this.#queue.stop();
      for (const end of this.#waits) end(false);
    };
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    // Objects may be reconciled before all kinds are known, as reads then ask the API; it only costs more calls.
    await client.synced?.(signal).catch(() => {});
    for (const ref of this.#controller.always ?? []) this.#queue.add(keyOf(ref));
    const workers = Array.from({ length: this.#controller.concurrency ?? DEFAULT_CONCURRENCY }, () => this.#work());
    await Promise.all([...watches, ...workers]);
    await this.#ended(graceMs);
  }

  #watch(): Promise<void>[] {
    const { client, signal } = this.#options;
    const { kind, also = [], late = [] } = this.#controller;
    return [
      client.watch(kind, ({ object }) => this.#queue.add(keyOf(object.metadata)), signal),
      ...also.map((other) => client.watch(other.kind, (change) => this.#addRefs(change, (object) => other.refs(object)), signal)),
      ...late.map((other) => this.#watchLate(other)),
    ];
  }

  async #watchLate(other: NonNullable<Controller<KubeObject>['late']>[number]): Promise<void> {
    const { client, signal } = this.#options;
    const kind = await this.#whenThere(other.kind);
    if (kind) await client.watch(kind, (change) => this.#addRefs(change, (object) => other.refs(object)), signal);
  }

  // Not watched before it is there: a kind that never comes must not keep `/readyz` waiting.
  async #whenThere(ask: LateKind): Promise<Kind<KubeObject> | undefined> {
    const { signal, lateKindMs = DEFAULT_LATE_KIND_MS } = this.#options;
    while (!signal.aborted) {
      const kind = await ask().catch(() => undefined);
      if (kind) return kind;
      await delay(lateKindMs, undefined, { signal }).catch(() => {});
    }
    return undefined;
  }

  // Who was referred to before is concerned too.
  #addRefs({ object, old }: Change<KubeObject>, refs: (object: KubeObject) => readonly Ref[]): void {
    for (const version of old && old !== object ? [old, object] : [object]) {
      for (const ref of refs(version)) this.#queue.add(keyOf(ref));
    }
  }

  async #work(): Promise<void> {
    for (let key = await this.#queue.next(); key !== undefined; key = await this.#queue.next()) {
      const reconcile = this.#reconcile(key);
      this.#running.set(key, reconcile);
      await this.#untilDeadline(key, reconcile);
    }
  }

  async #reconcile(key: string): Promise<void> {
    const { signal } = this.#options;
    const started = performance.now();
    try {
      const again = await this.#controller.reconcile(refOf(key), signal);
      this.#succeeded(key);
      if (again) this.#queue.addAfter(key, again.requeueAfterMs);
      this.#count(again ? 'requeue' : 'success');
    } catch (thrown) {
      // What was broken off by the end of our own work has not failed.
      if (!signal.aborted) this.#failed(key, thrown);
    } finally {
      this.#observe((performance.now() - started) / 1000);
      this.#running.delete(key);
      this.#queue.done(key);
    }
  }

  // One object that hangs must not keep a place that others wait for.
  async #untilDeadline(key: string, reconcile: Promise<void>): Promise<void> {
    const { deadlineMs = DEFAULT_DEADLINE_MS } = this.#options;
    const isLate = await this.#isLate(reconcile, deadlineMs);
    if (!isLate) return;
    this.#overdue(1);
    this.#log.warn({ object: key, deadlineMs }, 'a reconcile takes longer than it should; it goes on, and others take its place');
    void reconcile.then(() => {
      this.#overdue(-1);
      this.#log.info({ object: key }, 'the late reconcile has ended');
    });
  }

  // A plain timer: with signals, most of what an idle reconcile costs would be its deadline.
  async #isLate(reconcile: Promise<void>, deadlineMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(resolve, deadlineMs, true);
    this.#waits.add(resolve);
    if (this.#options.signal.aborted) resolve(false);
    void reconcile.then(() => resolve(false));
    const isLate = await promise;
    clearTimeout(timer);
    this.#waits.delete(resolve);
    return isLate;
  }

  #succeeded(key: string): void {
    this.#queue.forget(key);
    if (this.#logged.delete(key)) this.#log.info({ object: key }, 'reconciled after errors');
  }

  // The same trouble is told once, however often it is tried again.
  #failed(key: string, thrown: unknown): void {
    this.#count('error');
    this.#queue.retry(key);
    const message = messageOf(thrown);
    const told = this.#logged.get(key) ?? new Set();
    if (told.has(message) || told.size >= MAX_MESSAGES) return;
    this.#logged.set(key, told.add(message));
    const known = thrown instanceof SideroError ? { code: thrown.code, next: thrown.next } : { err: thrown };
    this.#log.warn({ object: key, ...known }, `reconcile failed: ${message}`);
  }

  async #ended(graceMs: number): Promise<void> {
    const ended = new AbortController();
    const grace = delay(graceMs, undefined, { signal: ended.signal }).catch(() => {});
    await Promise.race([Promise.all(this.#running.values()), grace]);
    ended.abort();
    if (this.#running.size > 0)
      this.#log.warn({ objects: [...this.#running.keys()], graceMs }, 'reconciles that do not heed their signal are left behind');
  }
}
