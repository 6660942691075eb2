import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { failure } from '../errors.ts';
import { createLogger } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import type { Change } from '../resources/client.ts';
import type { Kind, KubeObject } from '../resources/kinds.ts';
import type { Controller } from './controller.ts';
import { type RunControllersOptions, runControllers } from './run-controllers.ts';

const ServerKind: Kind<KubeObject> = { apiVersion: 'v1', kind: 'Server', plural: 'servers', namespaced: false };
const BindingKind: Kind<KubeObject> = { apiVersion: 'v1', kind: 'Binding', plural: 'bindings', namespaced: false };

/** What a client tells its watchers; the client itself is tested with an API. */
class Changes {
  readonly #handlers = new Map<string, (change: Change<KubeObject>) => void>();
  readonly client: RunControllersOptions['client'] = {
    watch: (kind, onChange, signal) => {
      this.#handlers.set(kind.kind, onChange as (change: Change<KubeObject>) => void);
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    },
  };

  isWatched(kind: Kind<KubeObject>): boolean {
    return this.#handlers.has(kind.kind);
  }

  tell(
    kind: Kind<KubeObject>,
    name: string,
    more: { type?: Change<KubeObject>['type']; labels?: Record<string, string>; was?: Record<string, string> } = {},
  ): void {
    const object = (labels: Record<string, string> = {}): KubeObject => ({ apiVersion: 'v1', kind: kind.kind, metadata: { name, labels } });
    this.#handlers.get(kind.kind)!({ type: more.type ?? 'changed', object: object(more.labels), ...(more.was ? { old: object(more.was) } : {}) });
  }
}

let changes: Changes;
let stop: AbortController;
let logged: { level: number; msg: string; object?: string; code?: string }[];
let running: Promise<void>;
const metrics = createMetrics();

beforeEach(() => {
  changes = new Changes();
  stop = new AbortController();
  logged = [];
  running = Promise.resolve();
});

afterEach(async () => {
  stop.abort();
  await running;
});

function run(controller: Partial<Controller<KubeObject>>, options: Partial<RunControllersOptions> = {}): void {
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(JSON.parse(chunk.toString()) as (typeof logged)[number]);
      done();
    },
  });
  const whole: Controller<KubeObject> = { name: 'servers', kind: ServerKind, reconcile: async () => undefined, ...controller };
  running = runControllers({
    controllers: [whole],
    client: changes.client,
    log: createLogger({ destination, level: 'info' }),
    metrics,
    signal: stop.signal,
    ...options,
  });
}

const until = (assertion: () => void | Promise<void>) => vi.waitFor(assertion, { timeout: 30_000, interval: 5 });

describe('controllers', () => {
  test('watch a kind that comes late once it is there, and nothing before', async () => {
    const seen: string[] = [];
    let asked = 0;
    const kind = async () => (++asked < 3 ? undefined : BindingKind);
    const late = [{ kind, refs: ({ metadata }: KubeObject) => [{ name: metadata.name }] }];
    run({ late, reconcile: async ({ name }) => void seen.push(name) as undefined }, { lateKindMs: 1 });
    expect(changes.isWatched(BindingKind)).toBe(false);
    await until(() => expect(changes.isWatched(BindingKind)).toBe(true));
    changes.tell(BindingKind, 'a');
    await until(() => expect(seen).toEqual(['a']));
  });
  test('look at objects that came, changed or went', async () => {
    const seen: string[] = [];
    run({ reconcile: async ({ name }) => void seen.push(name) as undefined });
    changes.tell(ServerKind, 'a', { type: 'added' });
    await until(() => expect(seen).toEqual(['a']));
    changes.tell(ServerKind, 'a', { type: 'removed' });
    await until(() => expect(seen).toEqual(['a', 'a']));
  });

  test('look at objects that another kind refers to, or referred to before', async () => {
    const seen: string[] = [];
    run({
      also: [{ kind: BindingKind, refs: ({ metadata }) => [{ name: metadata.labels!['server']! }] }],
      reconcile: async ({ name }) => void seen.push(name) as undefined,
    });
    changes.tell(BindingKind, 'x', { labels: { server: 'new' }, was: { server: 'old' } });
    await until(() => expect(seen.toSorted()).toEqual(['new', 'old']));
  });

  test('never work on one object twice at a time, and look again when it changed meanwhile', async () => {
    let atOnce = 0;
    let most = 0;
    let runs = 0;
    const releases: (() => void)[] = [];
    run({
      async reconcile() {
        most = Math.max(most, ++atOnce);
        runs += 1;
        await new Promise<void>((resolve) => releases.push(resolve));
        atOnce -= 1;
        return undefined;
      },
    });
    for (let index = 0; index < 5; index++) changes.tell(ServerKind, 'a');
    await until(() => expect(releases).toHaveLength(1));
    for (let index = 0; index < 5; index++) changes.tell(ServerKind, 'a');
    releases.shift()!();
    await until(() => expect(releases).toHaveLength(1));
    releases.shift()!();
    await until(() => expect(atOnce).toBe(0));
    expect([most, runs]).toEqual([1, 2]);
  });

  test('work on as many objects at once as they say', async () => {
    const releases: (() => void)[] = [];
    run({ concurrency: 3, reconcile: () => new Promise((resolve) => releases.push(() => resolve(undefined))) });
    for (const name of ['a', 'b', 'c', 'd', 'e']) changes.tell(ServerKind, name);
    await until(() => expect(releases).toHaveLength(3));
    releases[0]!();
    await until(() => expect(releases).toHaveLength(4));
    for (const release of releases) release();
    await until(() => expect(releases).toHaveLength(5));
    releases[4]!();
  });

  test('come back when a reconcile asks for it', async () => {
    let runs = 0;
    run({ reconcile: async () => (++runs < 3 ? { requeueAfterMs: 1 } : undefined) });
    changes.tell(ServerKind, 'a');
    await until(() => expect(runs).toBe(3));
  });

  test('try again after an error, and tell the same trouble once and its end', async () => {
    let runs = 0;
    run({
      async reconcile() {
        if (++runs < 5) throw failure('SIDERO_RESOURCE_MISSING', { kind: 'Server', name: 'x' });
        return undefined;
      },
    });
    changes.tell(ServerKind, 'a');
    await until(() => expect(logged).toHaveLength(2));
    expect(runs).toBe(5);
    expect(logged[0]).toMatchObject({ object: 'a', code: 'SIDERO_RESOURCE_MISSING', msg: expect.stringContaining('Server x does not exist') });
    expect(logged[1]).toMatchObject({ object: 'a', msg: 'reconciled after errors' });
  });

  test('one object that throws, also at once, keeps no other from being looked at', async () => {
    const seen: string[] = [];
    run({
      concurrency: 1,
      reconcile({ name }) {
        if (name === 'bad') throw new Error('no');
        seen.push(name);
        return Promise.resolve(undefined);
      },
    });
    for (const name of ['bad', 'a', 'b']) changes.tell(ServerKind, name);
    await until(() => expect(seen).toEqual(['a', 'b']));
  });

  test('one object that hangs gives its place to others after the deadline, and is told', async () => {
    const seen: string[] = [];
    let release = () => {};
    const reconcile = ({ name }: { name: string }) => {
      seen.push(name);
      if (name !== 'stuck') return Promise.resolve(undefined);
      return new Promise<undefined>((resolve) => {
        release = () => resolve(undefined);
      });
    };
    run({ concurrency: 1, reconcile }, { deadlineMs: 20 });
    changes.tell(ServerKind, 'stuck');
    changes.tell(ServerKind, 'a');
    await until(() => expect(seen).toEqual(['stuck', 'a']));
    expect(logged).toMatchObject([{ object: 'stuck', level: 40 }]);
    expect(await metrics.text()).toContain('sidero_reconcile_overdue{controller="servers"} 1');
    changes.tell(ServerKind, 'stuck');
    release();
    await until(() => expect(seen).toEqual(['stuck', 'a', 'stuck']));
    release();
  });

  test('end with their signal: running work is told and waited for, nothing new begins', async () => {
    const ends: string[] = [];
    run({
      concurrency: 1,
      reconcile: ({ name }, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            ends.push(name);
            reject(signal.reason);
          });
        }),
    });
    changes.tell(ServerKind, 'a');
    changes.tell(ServerKind, 'b');
    await until(async () => expect(await metrics.text()).toContain('sidero_reconcile_queue_length{controller="servers"} 1'));
    stop.abort();
    await running;
    expect(ends).toEqual(['a']);
    expect(logged).toEqual([]);
  });

  test('work that does not heed the signal is left behind by name', async () => {
    let runs = 0;
    run({ reconcile: () => (runs++, new Promise(() => {})) }, { graceMs: 20 });
    changes.tell(ServerKind, 'deaf');
    await until(() => expect(runs).toBe(1));
    stop.abort();
    await running;
    expect(logged).toMatchObject([{ objects: ['deaf'] }]);
  });

  test('count results and time', async () => {
    run({ name: 'counted', reconcile: async () => undefined });
    changes.tell(ServerKind, 'a');
    await until(async () => {
      const text = await metrics.text();
      expect(text).toContain('sidero_reconcile_total{controller="counted",result="success"} 1');
      expect(text).toContain('sidero_reconcile_seconds_count{controller="counted"} 1');
    });
  });
});
