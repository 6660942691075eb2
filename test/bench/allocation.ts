import { setTimeout as delay } from 'node:timers/promises';
import {
  type Claim,
  createMetrics,
  createResourceClient,
  definePlugin,
  type Metrics,
  type Plugin,
  type ResourceClient,
  readInstallation,
  type RunningResourceClient,
  type ServerBinding,
  ServerBindingKind,
  ServerClassKind,
  ServerKind,
  coreCustomResources,
} from '@sidero/core';
import { startApiServer } from '@sidero/plugin-apiserver';
import { caps } from '@sidero/plugin-caps';
import { placement } from '@sidero/plugin-placement';
import { aHardware, aServer, aServerClass, createWithStatus, silentLogger, testSidero } from '@sidero/testing';
import * as z from 'zod';
import { createHooks, type LifecycleHooks } from '../../core/src/hooks.ts';
import { createAllocateStage } from '../../core/src/lifecycle/allocate.ts';
import type { StageContext } from '../../core/src/lifecycle/context.ts';
import { clusterApiKinds, createCluster, createMachine, setPaused } from '../journeys/clusters/cluster-api.ts';
import type { Measurement } from './measure.ts';

const CLAIMS = 200;
const FLEETS = [100, 10_000] as const;
const ROUNDS = 1000;
/** So many objects are made at once. */
const AT_ONCE = 50;
const ZONES = ['a', 'b', 'c'];

/** MetalMachines that come at once, from nothing to bound; and one claim after another in a small fleet and in a large one. */
export async function measureAllocation(): Promise<readonly Measurement[]> {
  return [...(await measureClaimsAtOnce()), ...(await measureFleets())];
}

async function measureClaimsAtOnce(): Promise<readonly Measurement[]> {
  const metrics = Promise.withResolvers<Metrics>();
  const spy = definePlugin({ name: 'spy', options: z.strictObject({}), setup: (sidero) => metrics.resolve(sidero.metrics) });
  await using sidero = await testSidero({ plugins: [caps(), placement(), clusterApiKinds(), spy()] });
  const { resources } = sidero;
  await createServers(resources, CLAIMS);
  await createCluster(resources);
  await setPaused(resources, true);
  await inTurns(CLAIMS, (index) => createMachine(resources, `m-${index}`));
  await delay(1000);
  const callsBefore = await callsOf(await metrics.promise);
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  await setPaused(resources, false);
  while ((await resources.list(ServerBindingKind)).length < CLAIMS) await delay(5);
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const calls = ((await callsOf(await metrics.promise)) - callsBefore) / CLAIMS;
  const note = `${CLAIMS} at once, one class, \`placement()\`, all loops on, embedded API; the original: 125 s, 12 s without its client's limit`;
  return [
    { what: `${CLAIMS} MetalMachines bound`, ours: seconds, unit: 's', digits: 2, note },
    { what: 'CPU of that', ours: (user + system) / 1e6, unit: 's', digits: 2, note: 'the embedded API is part of it' },
    { what: 'calls of the API meanwhile, a MetalMachine', ours: calls, unit: '', digits: 1, note: 'every loop, Events included' },
  ];
}

async function callsOf(metrics: Metrics): Promise<number> {
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('sidero_kube_requests_total{') && !line.includes('verb="watch"'));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function measureFleets(): Promise<readonly Measurement[]> {
  const found: Measurement[] = [];
  for (const size of FLEETS) {
    const { p99Ms, bareP99Ms, calls } = await measureFleet(size);
    const peer = { name: 'bare read and create', value: bareP99Ms };
    const note = `${ROUNDS} claims one after another for a group that has half of the servers, \`placement()\`, ${calls.toFixed(1)} calls of the API each`;
    found.push({ what: `allocation p99, ${size.toLocaleString('en-US')} servers`, ours: p99Ms, unit: 'ms', digits: 1, peer, note });
  }
  return found;
}

async function measureFleet(size: number): Promise<{ p99Ms: number; bareP99Ms: number; calls: number }> {
  const log = silentLogger();
  const metrics = createMetrics();
  const server = await startApiServer({ customResources: coreCustomResources(), log });
  const resources = createResourceClient({ kubeConfig: () => server.kubeConfig, log, metrics, component: 'bench' });
  const stop = new AbortController();
  try {
    await createServers(resources, size);
    await inTurns(size / 2, (index) => resources.create(ServerBindingKind, bindingOf(nameOf(index))));
    await resources.create(ServerClassKind, aServerClass({ metadata: { name: 'any' } }));
    const hooks = createHooks();
    tapped(placement(), { hooks, resources });
    const stage = createAllocateStage(contextOf({ hooks, resources, metrics }));
    await synced(resources, stop.signal);
    const free = ({ metadata: { name } }: { metadata: { name: string } }) => resources.remove(ServerBindingKind, { name });
    await free(await stage.allocate(claimOf('first')));
    let calls = 0;
    const claims = await timed(async (index) => {
      const before = await callsOf(metrics);
      const startedMs = performance.now();
      const binding = await stage.allocate(claimOf(`m-${index}`));
      const tookMs = performance.now() - startedMs;
      calls += (await callsOf(metrics)) - before;
      await free(binding);
      return tookMs;
    });
    const bare = await timed(async (index) => {
      const startedMs = performance.now();
      const found = await resources.get(ServerKind, { name: nameOf(size / 2 + (index % (size / 2))) }, { live: true });
      const binding = await resources.create(ServerBindingKind, bindingOf(found!.metadata.name));
      const tookMs = performance.now() - startedMs;
      await free(binding);
      return tookMs;
    });
    return { p99Ms: claims, bareP99Ms: bare, calls: calls / ROUNDS };
  } finally {
    stop.abort();
    await resources.close();
    await server.close();
  }
}

async function synced(resources: RunningResourceClient, signal: AbortSignal): Promise<void> {
  for (const kind of [ServerKind, ServerClassKind, ServerBindingKind]) void resources.watch(kind as typeof ServerKind, () => undefined, signal);
  resources.start(signal);
  await resources.synced(signal);
}

/** The 99th percentile of many rounds. */
async function timed(round: (index: number) => Promise<number>): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < ROUNDS; index++) times.push(await round(index));
  return times.toSorted((a, b) => a - b)[Math.floor(ROUNDS * 0.99)]!;
}

/** Sets a plugin up that only taps and adds a controller, which does not run here. */
function tapped(plugin: Plugin, given: { readonly hooks: LifecycleHooks; readonly resources: ResourceClient }): void {
  plugin.setup({ ...given, variables: {}, controllers: { add: () => undefined } } as unknown as Parameters<Plugin['setup']>[0]);
}

function contextOf(given: Pick<StageContext, 'hooks' | 'resources' | 'metrics'>): StageContext {
  const us = readInstallation(given.resources);
  return { ...given, installation: () => us } as unknown as StageContext;
}

const nameOf = (index: number) => `4c4c4544-0000-4000-8000-${String(index).padStart(12, '0')}`;

/** Of the group that has half of the fleet. */
const labels = { 'cluster.x-k8s.io/cluster-name': 'rack-1', 'cluster.x-k8s.io/deployment-name': 'workers' };

function claimOf(name: string): Claim {
  return { namespace: 'default', name, uid: name, labels, serverClass: 'any' };
}

function bindingOf(name: string): ServerBinding {
  const metalMachineRef = { kind: 'MetalMachine', namespace: 'default', name: `on-${name}` };
  return { apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3', kind: 'ServerBinding', metadata: { name, labels }, spec: { metalMachineRef } };
}

function createServers(resources: ResourceClient, count: number): Promise<void> {
  return inTurns(count, (index) =>
    createWithStatus(
      resources,
      aServer({
        metadata: { name: nameOf(index), labels: { 'topology.kubernetes.io/zone': ZONES[index % ZONES.length]! } },
        spec: { hardware: aHardware({ system: { uuid: nameOf(index) } }) },
      }),
    ),
  );
}

async function inTurns(count: number, make: (index: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, offset) => make(from + offset)));
}
