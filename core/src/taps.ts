import { AsyncLocalStorage } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import { failure } from './errors.ts';
import type { HookName, LifecycleHooks } from './hooks.ts';
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

// What tapable hands to `register`, as far as we touch it.
interface Tap {
  name: string;
  type: 'sync' | 'async' | 'promise';
  optional?: boolean;
  fn: (...values: unknown[]) => unknown;
}
type Run = (...values: unknown[]) => unknown;

// Without these nobody waits for the answer, or silence is an answer of its own: a failing tap is left out and counted.
const SKIPPED: ReadonlySet<HookName> = new Set(['discover', 'accept', 'stream']);
const BLOCKED_MS = 100;

/** Installs the guard; call before anything taps. */
export function guardTaps(hooks: LifecycleHooks, policy: TapPolicy): TapGuard {
  const taps: TapRecord[] = [];
  const inside = new AsyncLocalStorage<string>();
  const wrap = tapWrapper(policy, inside);
  let owner: string | undefined;
  for (const [name, hook] of Object.entries(hooks) as [HookName, { intercept(interceptor: object): void }][]) {
    const register = (tap: Tap): Tap => {
      const record = { hook: name, plugin: owner ?? tap.name, optional: tap.optional === true };
      taps.push(record);
      return { ...tap, fn: tap.type === 'async' ? tap.fn : wrap(record, tap.fn) };
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

function tapWrapper(policy: TapPolicy, inside: AsyncLocalStorage<string>) {
  const { log, metrics, timeoutMs, strict } = policy;
  const seconds = metrics.histogram('sidero_hook_seconds', 'Time a tap took.', ['hook', 'plugin'], [0.0001, 0.001, 0.01, 0.1, 1, 10]);
  const failed = metrics.counter('sidero_hook_failures_total', 'Taps that threw or did not settle in time.', ['hook', 'plugin']);
  const blocked = metrics.counter('sidero_hook_blocked_total', 'Taps that held the event loop for more than 100 ms.', ['hook', 'plugin']);

  return (record: TapRecord, run: Run): Run => {
    const { hook, plugin } = record;
    const labels = { hook, plugin };
    const fail = (cause: unknown, values: readonly unknown[]): undefined => {
      failed(labels);
      const server = serverOf(values);
      const known = cause instanceof TapTimeout;
      const error = known
        ? failure('SIDERO_HOOK_TIMEOUT', { hook, plugin, server, timeoutMs })
        : failure('SIDERO_HOOK_FAILED', { hook, plugin, server, cause });
      if (!SKIPPED.has(hook) && !record.optional) throw error;
      log.error({ hook, tap: plugin, server, code: error.code }, error.message);
      return undefined;
    };
    const done = (startedMs: number) => seconds((performance.now() - startedMs) / 1000, labels);
    return (...values) => {
      // Once held, a wipe stays held: no later tap can talk it back into a plan.
      if (hook === 'wipe' && 'hold' in (values[0] as object)) return undefined;
      const startedMs = performance.now();
      if (strict) values.forEach(deepFreeze);
      try {
        const answer = strict ? inside.run(`${plugin} in ${hook}`, () => run(...values)) : run(...values);
        if (performance.now() - startedMs > BLOCKED_MS) {
          blocked(labels);
          log.warn(
            { hook, tap: plugin, server: serverOf(values), blockedMs: Math.round(performance.now() - startedMs) },
            'a tap blocked the event loop',
          );
        }
        if (!isPromise(answer)) {
          done(startedMs);
          return answer;
        }
        return withDeadline(answer, timeoutMs)
          .catch((cause: unknown) => fail(cause, values))
          .finally(() => done(startedMs));
      } catch (cause) {
        done(startedMs);
        return fail(cause, values);
      }
    };
  };
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
