import { AsyncLocalStorage } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import { failure } from './errors.ts';
import type { HookName, LifecycleHooks, ServerEvent } from './hooks.ts';
import { StreamQueue } from './lifecycle/stream-queue.ts';
import { checkedTap, type RunTap, type Tap } from './lifecycle/tap-answer.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';

/** One tap, for `sidero inspect`. */
export interface TapRecord {
  readonly hook: HookName;
  readonly plugin: string;
  /** A failing optional tap of `boot` or `bind` is left out instead of holding the machine. */
  readonly optional: boolean;
}

/** How taps are run. */
export interface TapPolicy {
  readonly timeoutMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Freezes what taps are given and refuses a tap that calls a stage. For development and tests. */
  readonly strict: boolean;
}

/** Wraps every tap of every hook once: deadline, duration, and an error that names plugin, hook and server. */
export interface TapGuard {
  readonly taps: readonly TapRecord[];
  /** Taps added while `work` runs belong to this plugin. */
  owned(plugin: string, work: () => void): void;
  /** The tap that is running now, "plugin in hook"; strict only. */
  running(): string | undefined;
}

// Without these nobody waits for the answer, or silence is an answer of its own: a failing tap is left out and counted.
const SKIPPED: ReadonlySet<HookName> = new Set(['discover', 'accept', 'stream']);
const BLOCKED_MS = 100;

/** Installs the guard; call before anything taps. */
export function guardTaps(hooks: LifecycleHooks, policy: TapPolicy): TapGuard {
  const taps: TapRecord[] = [];
  const inside = new AsyncLocalStorage<string>();
  const runner = new TapRunner(policy, inside);
  let owner: string | undefined;
  for (const [name, hook] of Object.entries(hooks) as [HookName, { intercept(interceptor: object): void }][]) {
    const register = (tap: Tap): Tap => {
      const record = { hook: name, plugin: owner ?? tap.name, optional: tap.optional === true };
      taps.push(record);
      const run = checkedTap(name, tap);
      const guarded: RunTap = (...values) => runner.run(record, run, values);
      if (name === 'stream') return { ...tap, fn: runner.queued(record, guarded) };
      if (tap.type === 'sync') return { ...tap, fn: guarded };
      // Whatever comes of it is a promise, also when nothing was run: with anything else tapable never settles.
      return { ...tap, type: 'promise', fn: async (...values) => guarded(...values) };
    };
    hook.intercept({ register });
  }
  return {
    taps,
    owned(plugin, work) {
      owner = plugin;
      try {
        work();
      } finally {
        owner = undefined;
      }
    },
    running: () => inside.getStore(),
  };
}

/** Runs the taps of one system. */
class TapRunner {
  readonly #policy: TapPolicy;
  readonly #inside: AsyncLocalStorage<string>;
  readonly #seconds: (value: number, labels: Record<string, string>) => void;
  readonly #failed: (labels: Record<string, string>) => void;
  readonly #blocked: (labels: Record<string, string>) => void;
  readonly #dropped: (labels: Record<string, string>) => void;

  constructor(policy: TapPolicy, inside: AsyncLocalStorage<string>) {
    const { metrics } = policy;
    const labels = ['hook', 'plugin'];
    this.#policy = policy;
    this.#inside = inside;
    this.#seconds = metrics.histogram('sidero_hook_seconds', 'Time a tap took.', { labels, buckets: [0.0001, 0.001, 0.01, 0.1, 1, 10] });
    this.#failed = metrics.counter('sidero_hook_failures_total', 'Taps that threw or did not settle in time.', labels);
    this.#blocked = metrics.counter('sidero_hook_blocked_total', 'Taps that held the event loop for more than 100 ms.', labels);
    this.#dropped = metrics.counter('sidero_stream_dropped_total', 'Events that a tap of stream was too slow for.', ['plugin']);
  }

  run(record: TapRecord, tap: RunTap, values: readonly unknown[]): unknown {
    const { hook, plugin } = record;
    // Once held, a wipe stays held: no later tap can talk it back into a plan.
    if (hook === 'wipe' && 'hold' in (values[0] as object)) return undefined;
    const startedMs = performance.now();
    const done = (): void => this.#seconds((performance.now() - startedMs) / 1000, { hook, plugin });
    if (this.#policy.strict) values.forEach(deepFreeze);
    try {
      const answer = this.#policy.strict ? this.#inside.run(`${plugin} in ${hook}`, () => tap(...values)) : tap(...values);
      this.#watchLoop(record, performance.now() - startedMs, values);
      if (isPromise(answer)) return this.#settle(record, answer, values).finally(done);
      done();
      return answer;
    } catch (cause) {
      done();
      return this.#fail(record, cause, values);
    }
  }

  /** Nobody waits for a tap of `stream`, however slow it is. */
  queued({ plugin }: TapRecord, guarded: RunTap): RunTap {
    const queue = new StreamQueue({ tell: guarded, onDrop: () => this.#dropped({ plugin }) });
    return (event) => queue.push(event as ServerEvent);
  }

  #settle(record: TapRecord, answer: Promise<unknown>, values: readonly unknown[]): Promise<unknown> {
    return withDeadline(answer, this.#policy.timeoutMs).catch((cause: unknown) => this.#fail(record, cause, values));
  }

  // A tap that holds the loop holds every machine. It cannot be stopped, but it can be named.
  #watchLoop({ hook, plugin }: TapRecord, blockedMs: number, values: readonly unknown[]): void {
    if (blockedMs < BLOCKED_MS) return;
    this.#blocked({ hook, plugin });
    this.#policy.log.warn({ hook, tap: plugin, server: serverOf(values), blockedMs: Math.round(blockedMs) }, 'a tap blocked the event loop');
  }

  #fail({ hook, plugin, optional }: TapRecord, cause: unknown, values: readonly unknown[]): undefined {
    const { timeoutMs, log } = this.#policy;
    const about = { hook, plugin, server: serverOf(values) };
    const error =
      cause instanceof TapTimeout ? failure('SIDERO_HOOK_TIMEOUT', { ...about, timeoutMs }) : failure('SIDERO_HOOK_FAILED', { ...about, cause });
    this.#failed({ hook, plugin });
    if (!SKIPPED.has(hook) && !optional) throw error;
    log.error({ hook, tap: plugin, server: about.server, code: error.code }, error.message);
    return undefined;
  }
}

class TapTimeout extends Error {}

function withDeadline(answer: Promise<unknown>, timeoutMs: number): Promise<unknown> {
  let timer: NodeJS.Timeout;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new TapTimeout()), timeoutMs);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}

// The server a hook's arguments are about, wherever the hook carries it.
function serverOf(values: readonly unknown[]): string | undefined {
  for (const value of values) {
    const { uuid, metadata, kind } = (value ?? {}) as { uuid?: string; kind?: string; metadata?: { name?: string } };
    if (uuid) return uuid;
    if ((kind === 'Server' || kind === 'ServerBinding') && metadata?.name) return metadata.name;
  }
  return undefined;
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  Object.values(value).forEach(deepFreeze);
}
