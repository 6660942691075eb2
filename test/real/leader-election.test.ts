import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import {
  createLogger,
  createMetrics,
  createResourceClient,
  LeaseKind,
  leaderIdentity,
  leaseIsLive,
  type RunningResourceClient,
  runAsLeader,
} from '@sidero/core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { ensureKubernetesParts, KUBERNETES_VERSION, type RealKubeApi, startKubeApiServer, testCache } from './kube-apiserver.ts';

const isPossible = existsSync(join(testCache(), `kubernetes-${KUBERNETES_VERSION}`, 'elector'));
const log = createLogger({ level: 'silent', destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });
/** A leader is one still when this host has been busy with other things for 3 s. */
const timing = { leaseMs: 4000, renewDeadlineMs: 3000, retryMs: 300 };
const until = (assertion: () => void | Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 10 });

/** A candidate of either make. */
interface Candidate {
  readonly identity: string;
  isLeading(): boolean;
  /** Stops and releases. */
  stop(): Promise<void>;
  /** Is gone without a word. */
  kill(): Promise<void>;
}

describe.skipIf(!isPossible)('leader election beside the original’s (client-go)', () => {
  let api: RealKubeApi;
  let elector: string;
  let client: RunningResourceClient;
  const candidates: Candidate[] = [];
  let leases = 0;

  beforeAll(async () => {
    elector = (await ensureKubernetesParts()).elector;
    api = await startKubeApiServer();
    client = createResourceClient({ kubeConfig: () => api.kubeConfig, log, metrics: createMetrics(), component: 'sidero-test' });
  });

  afterEach(async () => {
    await Promise.all(candidates.splice(0).map((candidate) => candidate.kill()));
  });

  afterAll(async () => {
    await client?.close();
    await api?.close();
  });

  const aLease = () => ({ namespace: 'default', name: `election-${++leases}` });

  function theirs(lease: { namespace: string; name: string }): Candidate {
    const identity = `pod-${candidates.length}_uid`;
    const args = [lease.namespace, lease.name, identity, `${timing.leaseMs}ms`, `${timing.renewDeadlineMs}ms`, `${timing.retryMs}ms`];
    const child: ChildProcess = spawn(elector, args, {
      env: { ...process.env, KUBECONFIG: api.kubeconfigPath },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const end = (signal: NodeJS.Signals) => {
      child.kill(signal);
      return gone;
    };
    const candidate = {
      identity,
      isLeading: () => said.includes('leading') && !said.includes('lost') && child.exitCode === null && child.signalCode === null,
      stop: () => end('SIGTERM'),
      kill: () => end('SIGKILL'),
    };
    candidates.push(candidate);
    return candidate;
  }

  function ours(lease: { namespace: string; name: string }): Candidate {
    const identity = leaderIdentity();
    const stop = new AbortController();
    let isLeading = false;
    let isDead = false;
    const lead = async (signal: AbortSignal) => {
      isLeading = true;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      isLeading = false;
    };
    // Once dead, none of its calls gets through, so that it cannot release either.
    const alive = <A extends unknown[], R>(call: (...given: A) => Promise<R>) => (...given: A) => (isDead ? new Promise<R>(() => {}) : call(...given)); // biome-ignore format: one line
    const mortal = {
      get: alive(client.get.bind(client)) as RunningResourceClient['get'],
      create: alive(client.create.bind(client)) as RunningResourceClient['create'],
      change: alive(client.change.bind(client)) as RunningResourceClient['change'],
    };
    const done = runAsLeader({ client: mortal, lease, identity, log, signal: stop.signal, lead, timing });
    const end = () => {
      stop.abort();
      return done;
    };
    const candidate: Candidate = {
      identity,
      isLeading: () => isLeading,
      stop: end,
      kill: () => {
        isDead = true;
        return end();
      },
    };
    candidates.push(candidate);
    return candidate;
  }

  const makes = { theirs, ours } as const;

  test.each([
    ['theirs', 'ours'],
    ['ours', 'theirs'],
  ] as const)('%s leads, %s waits, and takes over at once when it is released', async (first, second) => {
    const lease = aLease();
    const leader = makes[first](lease);
    await until(() => expect(leader.isLeading()).toBe(true));
    const next = makes[second](lease);
    const started = performance.now();
    // Long enough for the Lease to run out were it not renewed.
    await until(() => {
      expect(next.isLeading()).toBe(false);
      expect(performance.now() - started).toBeGreaterThan(timing.leaseMs * 1.5);
    });
    expect(leader.isLeading()).toBe(true);
    await leader.stop();
    const released = performance.now();
    await until(() => expect(next.isLeading()).toBe(true));
    expect(performance.now() - released).toBeLessThan(timing.leaseMs);
    expect((await client.get(LeaseKind, lease))!.spec).toMatchObject({ holderIdentity: next.identity, leaseDurationSeconds: timing.leaseMs / 1000 });
  });

  test.each([
    ['theirs', 'ours'],
    ['ours', 'theirs'],
  ] as const)('%s dies, %s takes over when the Lease has run out, and counts the change', async (first, second) => {
    const lease = aLease();
    const leader = makes[first](lease);
    await until(() => expect(leader.isLeading()).toBe(true));
    const next = makes[second](lease);
    const { leaseTransitions = 0 } = (await client.get(LeaseKind, lease))!.spec!;
    const died = performance.now();
    await leader.kill();
    await until(() => expect(next.isLeading()).toBe(true));
    expect(performance.now() - died).toBeGreaterThan(timing.renewDeadlineMs - timing.retryMs);
    expect((await client.get(LeaseKind, lease))!.spec).toMatchObject({ holderIdentity: next.identity, leaseTransitions: leaseTransitions + 1 });
  });

  test('the original is known to be live while it leads, and not any more once it is dead or stopped', async () => {
    const lease = aLease();
    const original = theirs(lease);
    await until(() => expect(original.isLeading()).toBe(true));
    expect(await leaseIsLive({ client, lease, pollMs: 50 })).toEqual({ holder: original.identity });
    await original.kill();
    expect(await leaseIsLive({ client, lease, pollMs: 50 })).toBeUndefined();
    const again = theirs(lease);
    await until(() => expect(again.isLeading()).toBe(true));
    await again.stop();
    expect(await leaseIsLive({ client, lease, pollMs: 50 })).toBeUndefined();
  });
});
