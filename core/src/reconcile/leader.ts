import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ResourceClient } from '../resources/client.ts';
import { type Lease, LeaseKind, type Ref } from '../resources/kinds.ts';

/** The name the original's manager elects its leader under; sharing it keeps the two from ever leading at once. */
export const LEASE_NAME = 'controller-leader-election-sidero-controller-manager';

/** Begins the identity of every holder that is of our making, so that the original's is told apart. */
const OURS = 'sidero-ts_';

/** The times of a Lease, as client-go's leader election has them. */
export interface LeaseTiming {
  /** A holder that did not renew for this long counts as gone. */
  readonly leaseMs: number;
  /** A leader that could not renew for this long stops leading; less than `leaseMs`, so that it stops before others begin. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}

const DEFAULT_TIMING: LeaseTiming = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };
const RELEASE_TIMEOUT_MS = 1_000;
/** The longest anybody's Lease is waited for, whatever it says itself. */
const MAX_LEASE_SECONDS = 60;

type Spec = NonNullable<Lease['spec']>;
type LeaseClient = Pick<ResourceClient, 'get' | 'create' | 'change'>;

/** An identity for `runAsLeader`, different for every process. */
export function leaderIdentity(): string {
  return `${OURS}${hostname()}_${crypto.randomUUID()}`;
}

/**
 * Whether the holder of a Lease still renews it, judged by our own clock only: what counts is how long ago we saw the
 * Lease change, not which time it carries.
 */
export class LeaseWatcher {
  readonly #now: () => number;
  #seen = '';
  #seenAt = 0;

  /** @param now a clock in milliseconds that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes note of the Lease as it is now. */
  see(spec: Spec | undefined): void {
    const seen = JSON.stringify([spec?.holderIdentity, spec?.renewTime, spec?.acquireTime, spec?.leaseTransitions]);
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#seenAt = this.#now();
  }

  /** Whether it was last seen to change within the time it claims. */
  isLive(spec: Spec | undefined, leaseMs = DEFAULT_TIMING.leaseMs): boolean {
    if (!spec?.holderIdentity) return false;
    return this.#now() - this.#seenAt < durationMs(spec, leaseMs);
  }
}

function durationMs(spec: Spec, otherwise: number): number {
  const seconds = spec.leaseDurationSeconds;
  return seconds && seconds > 0 ? Math.min(seconds, MAX_LEASE_SECONDS) * 1000 : otherwise;
}

/** Host name of the process of ours that leads, in Kubernetes that of its pod; undefined: none does, or none needs to be elected. */
export async function leadingHost(client: Pick<ResourceClient, 'get'>, namespace: string): Promise<string | undefined> {
  const holder = (await client.get(LeaseKind, { namespace, name: LEASE_NAME }, { live: true }))?.spec?.holderIdentity ?? '';
  return holder.startsWith(OURS) ? holder.slice(OURS.length).replace(/_[^_]*$/, '') : undefined;
}

/** The Lease as its new or present holder writes it. */
export function held(before: Spec | undefined, holder: { identity: string; leaseMs: number; now: Date }): Spec {
  const time = microTime(holder.now);
  const isRenewal = before?.holderIdentity === holder.identity;
  return {
    ...before,
    holderIdentity: holder.identity,
    leaseDurationSeconds: Math.ceil(holder.leaseMs / 1000),
    renewTime: time,
    acquireTime: isRenewal ? (before.acquireTime ?? time) : time,
    leaseTransitions: (before?.leaseTransitions ?? 0) + (before && !isRenewal ? 1 : 0),
  };
}

/** As `metav1.MicroTime` is written. */
function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}

export interface LeaderOptions {
  readonly client: LeaseClient;
  /** Lease that candidates compete for. */
  readonly lease: Ref;
  /** Different for every process; begins with `sidero-ts_`, see `leaderIdentity`. */
  readonly identity: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Runs while we lead; its signal aborts when the Lease is lost, or with `signal`. */
  lead(signal: AbortSignal): Promise<void>;
  readonly timing?: Partial<LeaseTiming>;
}

/**
 * Competes for the Lease and leads whenever it is ours, until the signal aborts or `lead` ends by itself; then the Lease
 * is released. After a lost Lease it competes again, once `lead` has ended. Rejects only with what `lead` rejects with.
 */
export async function runAsLeader(options: LeaderOptions): Promise<void> {
  const candidate = new Candidate(options);
  for (;;) {
    const since = await candidate.acquire();
    if (since === undefined || (await candidate.term(since)) === 'done') return;
  }
}

type Outcome = 'ours' | 'other' | 'unknown';

class Candidate {
  readonly #options: LeaderOptions;
  readonly #timing: LeaseTiming;
  readonly #watcher = new LeaseWatcher();
  readonly #log: Logger;
  /** What kept us from reading or writing the Lease at the last attempt. */
  #trouble = '';

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    this.#log = options.log.child({ lease: options.lease.name, identity: options.identity });
  }

  /** Resolves once the Lease is ours, with when we began to ask for it (of `performance.now`); undefined when the signal aborted first. */
  async acquire(): Promise<number | undefined> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      const begun = performance.now();
      const until = begun + this.#timing.renewDeadlineMs;
      const attempt = this.#attempt(() => performance.now() < until && !signal.aborted);
      const outcome = await within(this.#timing.renewDeadlineMs, attempt, signal);
      // What was under way when we are stopped may still make us the holder, who then has to release the Lease.
      if ((outcome ?? (signal.aborted && (await within(RELEASE_TIMEOUT_MS, attempt)))) === 'ours') return begun;
      // Candidates that started together come apart.
      await delay(this.#timing.retryMs * (1 + 1.2 * Math.random()), undefined, { signal }).catch(() => {});
    }
    return undefined;
  }

  /** Leads until the Lease, ours since then, is lost, the signal aborts, or `lead` ends. */
  async term(since: number): Promise<'lost' | 'done'> {
    const { signal } = this.#options;
    const lost = new AbortController();
    const over = new AbortController();
    this.#log.info('leading');
    const renewing = this.#renew(since + this.#timing.renewDeadlineMs, AbortSignal.any([signal, over.signal]), lost);
    try {
      await this.#options.lead(AbortSignal.any([signal, lost.signal]));
    } catch (thrown) {
      if (!lost.signal.aborted) throw thrown;
      this.#log.debug({ err: thrown }, 'the work of the leader was broken off');
    } finally {
      over.abort();
      await renewing;
      if (!lost.signal.aborted) await this.#release();
    }
    return lost.signal.aborted && !signal.aborted ? 'lost' : 'done';
  }

  // What we write counts from when it was begun: others see it before we have the answer. One that hangs neither delays the end nor takes the Lease
  // back after it.
  async #renew(firstDeadline: number, signal: AbortSignal, lost: AbortController): Promise<void> {
    const { renewDeadlineMs, retryMs } = this.#timing;
    let deadline = firstDeadline;
    while (!signal.aborted) {
      await delay(retryMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const begun = performance.now();
      const until = deadline;
      const outcome = await within(
        until - begun,
        this.#attempt(() => performance.now() < until && !signal.aborted),
      );
      if (outcome === 'ours') deadline = begun + renewDeadlineMs;
      if (outcome === 'other' || performance.now() >= deadline) {
        this.#log.warn({ reason: outcome === 'other' ? 'somebody else holds it' : this.#trouble }, 'the lease was lost; not leading any more');
        lost.abort(new Error('the lease was lost'));
        return;
      }
    }
  }

  async #attempt(isWanted: () => boolean): Promise<Outcome> {
    try {
      const outcome = await this.#take(isWanted);
      this.#trouble = '';
      return outcome;
    } catch (thrown) {
      const trouble = messageOf(thrown);
      if (trouble !== this.#trouble) this.#log.warn({ reason: trouble }, 'the lease cannot be read or written');
      this.#trouble = trouble;
      return 'unknown';
    }
  }

  async #take(isWanted: () => boolean): Promise<Outcome> {
    const { client, lease, identity } = this.#options;
    let outcome: Outcome = 'unknown';
    const renew = (draft: Lease) => {
      this.#watcher.see(draft.spec);
      const isFree = draft.spec?.holderIdentity === identity || !this.#watcher.isLive(draft.spec, this.#timing.leaseMs);
      outcome = isFree ? 'unknown' : 'other';
      if (!isFree || !isWanted()) return false;
      outcome = 'ours';
      draft.spec = held(draft.spec, { identity, leaseMs: this.#timing.leaseMs, now: new Date() });
    };
    try {
      const { spec } = await client.change(LeaseKind, lease, renew);
      this.#watcher.see(spec);
      return outcome;
    } catch (thrown) {
      if (!hasCode(thrown, 'SIDERO_RESOURCE_MISSING')) throw thrown;
      return this.#create();
    }
  }

  async #create(): Promise<Outcome> {
    const { client, lease, identity } = this.#options;
    const spec = held(undefined, { identity, leaseMs: this.#timing.leaseMs, now: new Date() });
    try {
      await client.create(LeaseKind, { apiVersion: LeaseKind.apiVersion, kind: LeaseKind.kind, metadata: { ...lease }, spec });
      this.#watcher.see(spec);
      return 'ours';
    } catch (thrown) {
      if (!hasCode(thrown, 'SIDERO_RESOURCE_EXISTS')) throw thrown;
      return 'other';
    }
  }

  // So that the next leader need not wait; when the API does not answer it waits as after a crash.
  async #release(): Promise<void> {
    const { client, lease, identity } = this.#options;
    const time = microTime(new Date());
    const release = (draft: Lease) => {
      if (draft.spec?.holderIdentity !== identity) return false;
      draft.spec = { ...draft.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: time, acquireTime: time };
    };
    const released = client.change(LeaseKind, lease, release).then(
      () => this.#log.info('the lease is released'),
      (thrown: unknown) => this.#log.warn({ reason: messageOf(thrown) }, 'the lease could not be released'),
    );
    await within(RELEASE_TIMEOUT_MS, released);
  }
}

/** What the promise gives, or undefined when that takes longer, or the signal aborts first. */
async function within<T>(ms: number, promise: Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
  const ended = new AbortController();
  const limit = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
  const timeout = delay(Math.max(0, ms), undefined, { signal: limit }).catch(() => undefined);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    ended.abort();
  }
}

export interface LeaseIsLiveOptions {
  readonly client: Pick<ResourceClient, 'get'>;
  readonly lease: Ref;
  readonly signal?: AbortSignal;
  /** How often the Lease is looked at. Default 1 s. */
  readonly pollMs?: number;
}

/**
 * Who leads under a Lease that is not of our making: the original. Undefined when nobody does. Telling a live holder
 * from one that went without releasing takes watching whether the Lease is renewed: up to its duration, usually 15 s.
 */
export async function leaseIsLive(options: LeaseIsLiveOptions): Promise<{ readonly holder: string } | undefined> {
  const { client, lease, signal, pollMs = 1000 } = options;
  const watcher = new LeaseWatcher();
  let first: string | undefined;
  for (;;) {
    const spec = (await client.get(LeaseKind, lease, { live: true }))?.spec;
    const holder = spec?.holderIdentity;
    if (!holder || holder.startsWith(OURS)) return undefined;
    watcher.see(spec);
    const seen = `${holder} ${spec.renewTime}`;
    first ??= seen;
    if (seen !== first) return { holder };
    if (!watcher.isLive(spec)) return undefined;
    await delay(pollMs, undefined, signal ? { signal } : {});
  }
}
