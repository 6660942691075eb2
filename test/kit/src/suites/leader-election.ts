import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createLogger,
  createMetrics,
  createResourceClient,
  type Lease,
  LeaseKind,
  leaderIdentity,
  leaseIsLive,
  type LeaderOptions,
  type RunningResourceClient,
  runAsLeader,
} from '@sidero/core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RunningApi } from './resource-client.ts';

type Timing = NonNullable<LeaderOptions['timing']>;
/** For those who keep their Lease: no busy host makes them lose it. */
const PATIENT: Required<Timing> = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 100 };
/** For those who lose it, which is waited for. */
const HASTY: Required<Timing> = { leaseMs: 3000, renewDeadlineMs: 2000, retryMs: 100 };
const until = (assertion: () => void | Promise<void>) => vi.waitFor(assertion, { timeout: 30_000, interval: 10 });
const log = createLogger({ level: 'silent', destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });

let leases = 0;

/** One process that competes; `cut` takes its way to the API. */
class Candidate {
  readonly identity = leaderIdentity();
  readonly stop = new AbortController();
  isLeading = false;
  terms = 0;
  lostAt = 0;
  isCut = false;
  /** The API hears of it at once, and its answers come so much later. */
  lateMs = 0;
  readonly done: Promise<void>;

  constructor(client: RunningResourceClient, lease: LeaderOptions['lease'], { lead, timing = PATIENT }: Partial<LeaderOptions> = {}) {
    // Calls that never come back, as on a network that swallows packets.
    const through = async <R>(call: () => Promise<R>): Promise<R> => {
      if (this.isCut) return new Promise<R>(() => {});
      const answer = await call();
      await delay(this.lateMs);
      return answer;
    };
    const cuttable = {
      get: ((...given: Parameters<RunningResourceClient['get']>) => through(() => client.get(...given))) as RunningResourceClient['get'],
      create: ((...given: Parameters<RunningResourceClient['create']>) => through(() => client.create(...given))) as RunningResourceClient['create'],
      change: ((...given: Parameters<RunningResourceClient['change']>) => through(() => client.change(...given))) as RunningResourceClient['change'],
    };
    const work = async (signal: AbortSignal) => {
      this.isLeading = true;
      this.terms += 1;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      this.isLeading = false;
      this.lostAt = performance.now();
    };
    this.done = runAsLeader({ client: cuttable, lease, identity: this.identity, log, signal: this.stop.signal, lead: lead ?? work, timing });
  }
}

/** Leader election as client-go has it, on any API. */
export function describeLeaderElection(name: string, start: () => Promise<RunningApi>): void {
  describe(`leader election on ${name}`, () => {
    let api: RunningApi;
    let client: RunningResourceClient;
    const candidates: Candidate[] = [];

    beforeAll(async () => {
      api = await start();
      client = createResourceClient({ kubeConfig: () => api.kubeConfig, log, metrics: createMetrics(), component: 'sidero-test' });
    }, 120_000);

    afterEach(async () => {
      for (const candidate of candidates) candidate.stop.abort();
      await Promise.all(candidates.splice(0).map(({ done }) => done));
    });

    afterAll(async () => {
      await client?.close();
      await api?.close();
    });

    const aLease = () => ({ namespace: 'default', name: `leader-${++leases}` });
    const compete = (lease: LeaderOptions['lease'], timing?: Timing) => {
      const candidate = new Candidate(client, lease, timing && { timing });
      candidates.push(candidate);
      return candidate;
    };
    const specOf = async (lease: LeaderOptions['lease']) => (await client.get(LeaseKind, lease, { live: true }))?.spec;
    const write = (lease: LeaderOptions['lease'], spec: Lease['spec']) =>
      client.create(LeaseKind, { apiVersion: LeaseKind.apiVersion, kind: 'Lease', metadata: lease, ...(spec ? { spec } : {}) });
    const microTime = (time = new Date()) => time.toISOString().replace('Z', '000Z');

    test('one of several leads, and its Lease says so in client-go’s way', async () => {
      const lease = aLease();
      const all = [compete(lease), compete(lease), compete(lease)];
      await until(() => expect(all.filter(({ isLeading }) => isLeading)).toHaveLength(1));
      const leader = all.find(({ isLeading }) => isLeading)!;
      const spec = await specOf(lease);
      expect(spec).toMatchObject({ holderIdentity: leader.identity, leaseDurationSeconds: 15, leaseTransitions: 0 });
      expect(spec!.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      await until(async () => {
        const renewed = await specOf(lease);
        expect(renewed!.renewTime! > spec!.renewTime!).toBe(true);
        expect(renewed!.acquireTime).toBe(spec!.acquireTime);
      });
      expect(all.filter(({ isLeading }) => isLeading)).toHaveLength(1);
    });

    test('who stops releases the Lease, and the next one need not wait for it to run out', async () => {
      const lease = aLease();
      const first = compete(lease);
      await until(() => expect(first.isLeading).toBe(true));
      first.stop.abort();
      await first.done;
      expect(await specOf(lease)).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
      const started = performance.now();
      const second = compete(lease);
      await until(() => expect(second.isLeading).toBe(true));
      expect(performance.now() - started).toBeLessThan(PATIENT.leaseMs);
      expect(await specOf(lease)).toMatchObject({ holderIdentity: second.identity, leaseTransitions: 1 });
    });

    test('who is cut off stops leading before anybody else begins, and waits its turn when it is back', async () => {
      const lease = aLease();
      const first = compete(lease, HASTY);
      await until(() => expect(first.isLeading).toBe(true));
      const second = compete(lease, HASTY);
      first.isCut = true;
      await until(() => expect(second.isLeading).toBe(true));
      expect(first.isLeading).toBe(false);
      expect(first.lostAt).toBeLessThan(performance.now());
      // The call that got lost stays lost, but the next ones get through.
      first.isCut = false;
      second.stop.abort();
      await second.done;
      await until(() => expect([first.isLeading, first.terms]).toEqual([true, 2]));
    });

    test('who was long told nothing of its Lease, and is then cut off, stops leading before anybody else begins', async () => {
      const lease = aLease();
      const first = compete(lease, HASTY);
      first.lateMs = 0.8 * HASTY.renewDeadlineMs;
      await until(async () => expect((await specOf(lease))?.holderIdentity).toBe(first.identity));
      const second = compete(lease, HASTY);
      await until(() => expect(first.isLeading).toBe(true));
      first.isCut = true;
      await until(() => expect(second.isLeading).toBe(true));
      expect(first.isLeading).toBe(false);
    });

    test('a short outage that ends within the deadline is no loss', async () => {
      const lease = aLease();
      const errors = { left: 3 };
      const broken: RunningResourceClient = Object.assign(Object.create(client) as RunningResourceClient, {
        get: client.get.bind(client),
        create: client.create.bind(client),
        change: (...given: Parameters<RunningResourceClient['change']>) =>
          terms === 1 && errors.left-- > 0 ? Promise.reject(new Error('connection refused')) : client.change(...given),
      });
      let terms = 0;
      const stop = new AbortController();
      let isLost = false;
      const lead = async (signal: AbortSignal) => {
        terms += 1;
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        isLost = !stop.signal.aborted;
      };
      const done = runAsLeader({ client: broken, lease, identity: leaderIdentity(), log, signal: stop.signal, lead, timing: PATIENT });
      await until(() => expect(errors.left).toBeLessThan(0));
      const { renewTime } = (await specOf(lease))!;
      await until(async () => expect((await specOf(lease))!.renewTime! > renewTime!).toBe(true));
      stop.abort();
      await done;
      expect([isLost, terms]).toEqual([false, 1]);
    });

    test('who finds the Lease taken over stops at once', async () => {
      const lease = aLease();
      const first = compete(lease, HASTY);
      await until(() => expect(first.isLeading).toBe(true));
      await client.change(
        LeaseKind,
        lease,
        (draft) => void (draft.spec = { ...draft.spec, holderIdentity: 'somebody-else', renewTime: microTime() }),
      );
      await until(() => expect(first.isLeading).toBe(false));
      expect((await specOf(lease))!.holderIdentity).toBe('somebody-else');
      // Who took it does not renew it, so it comes back.
      await until(() => expect([first.isLeading, first.terms]).toEqual([true, 2]));
    });

    test.each([
      ['an hour behind', -3_600_000],
      ['an hour ahead', 3_600_000],
    ])('a holder whose clock is %s keeps its Lease as long as it renews', async (_how, skewMs) => {
      const lease = aLease();
      const time = () => microTime(new Date(Date.now() + skewMs));
      await write(lease, { holderIdentity: 'skewed', leaseDurationSeconds: 3, renewTime: time(), acquireTime: time(), leaseTransitions: 4 });
      const candidate = compete(lease);
      for (let renewals = 0; renewals < 35; renewals++) {
        await client.change(LeaseKind, lease, (draft) => void (draft.spec!.renewTime = time()));
        await new Promise((resolve) => setTimeout(resolve, 100)); // the pace of its renewals
        expect(candidate.isLeading).toBe(false);
      }
      await until(() => expect(candidate.isLeading).toBe(true));
      expect(await specOf(lease)).toMatchObject({ leaseTransitions: 5 });
    });

    test('work that ends by itself releases the Lease, work that fails rejects', async () => {
      const lease = aLease();
      await new Candidate(client, lease, { lead: async () => {} }).done;
      expect((await specOf(lease))!.holderIdentity).toBe('');
      await expect(new Candidate(client, lease, { lead: () => Promise.reject(new Error('broke')) }).done).rejects.toThrow('broke');
      expect((await specOf(lease))!.holderIdentity).toBe('');
    });

    test('a leader that is not of our making is told from ours, from a dead one and from none', async () => {
      const live = (lease: LeaderOptions['lease']) => leaseIsLive({ client, lease, pollMs: 20 });
      expect(await live({ namespace: 'default', name: 'nobody' })).toBeUndefined();

      const ours = aLease();
      const candidate = compete(ours);
      await until(() => expect(candidate.isLeading).toBe(true));
      expect(await live(ours)).toBeUndefined();

      const dead = aLease();
      await write(dead, { holderIdentity: 'pod_uuid', leaseDurationSeconds: 1, renewTime: microTime(new Date(Date.now() + 60_000)) });
      expect(await live(dead)).toBeUndefined();

      const original = aLease();
      await write(original, { holderIdentity: 'pod_uuid', leaseDurationSeconds: 15, renewTime: microTime() });
      const seen = live(original);
      await client.change(LeaseKind, original, (draft) => void (draft.spec!.renewTime = microTime(new Date(Date.now() + 2000))));
      const again = setInterval(
        () => void client.change(LeaseKind, original, (draft) => void (draft.spec!.renewTime = microTime())).catch(() => {}),
        100,
      );
      expect(await seen.finally(() => clearInterval(again))).toEqual({ holder: 'pod_uuid' });
    });
  });
}
