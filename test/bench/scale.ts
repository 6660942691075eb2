import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { KubeConfig } from '@kubernetes/client-node';
import {
  createMetrics,
  createResourceClient,
  EnvironmentKind,
  type Environment,
  type KubeObject,
  type ResourceClient,
  SecretKind,
  type Server,
  ServerKind,
} from '@sidero/core';
import { clusterApiKinds, MetalClusterKind, MetalMachineKind } from '@sidero/plugin-caps';
import { aTalosConfig, fleet, freePlanePorts, freePorts, type PlanePorts, silentLogger, type SimulatedMachine, writeStandIns } from '@sidero/testing';
import { type IpmiBmc, startIpmiBmc } from '@sidero/testing/bmc';
import { type ManagementPlane, startManagementPlane, thisHost } from '@sidero/testing/qemu';
import type { Measurement } from './measure.ts';

/** `SIDERO_BENCH_SERVERS=100` for a shorter run. */
const SERVERS = Number(process.env['SIDERO_BENCH_SERVERS'] ?? 1000);
const ZONES = ['a', 'b', 'c'];
/** So many objects are made at once. */
const AT_ONCE = 50;
/** Nothing here takes longer than that; the target is 10 min for all. */
const LIMIT_MS = 20 * 60_000;
/** Clock ticks of /proc/PID/stat in a second, on every Linux. */
const TICKS = 100;
const namespace = 'default';
const CLUSTER = 'rack-1';
const { cluster: ClusterKind, machine: MachineKind } = clusterApiKinds('v1beta1');

/**
 * Servers that nobody knows are switched on at once: discovered, accepted, wiped, switched off; then a cluster wants them all. The management plane is
 * a process of its own, with its API on disk; the machines and their IPMI BMCs are in this one.
 */
export async function measureScale(): Promise<readonly Measurement[]> {
  await using rack = await startRack();
  const wiped = await phase(rack, async () => {
    for (const machine of rack.machines) machine.powerOn();
    await until(rack, (machine) => machine.history.some(({ stage }) => stage === 'clean') && !machine.isOn());
    await confirmed(async () => (await rack.resources.list(ServerKind, {}, { live: true })).filter(isAtRest).length);
  });
  const bound = await phase(rack, async () => {
    await createMachines(rack.resources);
    await until(rack, ({ state }) => state.stage === 'environment');
    await confirmed(async () => (await rack.resources.list(MetalMachineKind, {}, { live: true })).filter(({ status }) => status?.ready).length);
  });
  const peakMB = await peak(rack.plane.pid);
  const count = SERVERS.toLocaleString('en-US');
  const note = `${count} simulated machines with an IPMI BMC each; API on disk, caps({ standalone: true }), placement()`;
  return [
    ...figures(`${count} servers discovered, accepted, wiped, off`, wiped, note),
    ...figures(`${count} servers bound, booted into their Environment`, bound, note),
    {
      what: `${count} servers, from unknown to bound`,
      ours: wiped.seconds + bound.seconds,
      unit: 's',
      digits: 0,
      note: 'the sum of both; target: 600 s',
    },
    { what: `peak memory of the management plane with ${count} servers (RSS)`, ours: peakMB, unit: 'MB', digits: 0, note },
  ];
}

function figures(what: string, { seconds, cpuSeconds, calls }: Phase, note: string): readonly Measurement[] {
  return [
    { what, ours: seconds, unit: 's', digits: 1, note },
    { what: 'CPU of that', ours: cpuSeconds, unit: 's', digits: 1, note: 'of the management plane, its API included' },
    { what: 'calls of the API for that, a server', ours: calls / SERVERS, unit: '', digits: 1, note: 'every loop, Events included' },
  ];
}

interface Rack extends AsyncDisposable {
  readonly machines: readonly SimulatedMachine[];
  readonly plane: ManagementPlane;
  readonly resources: ResourceClient;
  readonly metricsPort: number;
}

async function startRack(): Promise<Rack> {
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), 'sidero-scale-'));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  await writeStandIns(dataDir);
  const [ports, [metricsPort = 0]] = await Promise.all([freePlanePorts(), freePorts(1)]);
  const machines = fleet(SERVERS, { plane: { host: '127.0.0.1', http: ports.http, tftp: ports.tftp }, seed: 'scale' });
  stack.defer(() => machines.forEach((machine) => machine.cutPower('it is over')));
  const bmcFile = join(dataDir, 'bmcs.json');
  await writeFile(bmcFile, JSON.stringify(await startBmcs(machines, stack)));
  const config = fileURLToPath(new URL('scale.config.ts', import.meta.url));
  const plane = stack.use(await startManagementPlane(thisHost, { config, dataDir, env: variables({ ports, metricsPort, bmcFile }) }));
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(plane.kubeconfig);
  const resources = createResourceClient({ kubeConfig: () => kubeConfig, log: silentLogger(), metrics: createMetrics(), component: 'bench' });
  stack.defer(() => resources.close());
  await serveEnvironment(resources, stack);
  const owned = stack.move();
  return { machines, plane, resources, metricsPort, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function startBmcs(
  machines: readonly SimulatedMachine[],
  stack: AsyncDisposableStack,
): Promise<Record<string, { port: number; zone: string }>> {
  const list: Record<string, { port: number; zone: string }> = {};
  for (const [index, machine] of machines.entries()) {
    const bmc: IpmiBmc = await startIpmiBmc({ chassis: machine, seed: machine.uuid });
    stack.use(bmc);
    list[machine.uuid] = { port: bmc.port, zone: ZONES[index % ZONES.length]! };
  }
  return list;
}

function variables({ ports, metricsPort, bmcFile }: { ports: PlanePorts; metricsPort: number; bmcFile: string }): Record<string, string> {
  return {
    SIDERO_CONTROLLER_MANAGER_API_PORT: String(ports.http),
    SIDERO_APISERVER_PORT: '0',
    SIDERO_TFTP_PORT: String(ports.tftp),
    SIDERO_HEALTH_ADDRESS: 'off',
    CAPI_DIAGNOSTICS_ADDRESS: `127.0.0.1:${metricsPort}`,
    SIDERO_BENCH_BMCS: bmcFile,
  };
}

/** What machines boot once they are bound: files of this process, which the management plane fetches. */
async function serveEnvironment(resources: ResourceClient, stack: AsyncDisposableStack): Promise<void> {
  const files = createServer((_request, response) => response.end(Buffer.alloc(200_000))).listen(0, '127.0.0.1');
  await once(files, 'listening');
  stack.defer(() => void files.close());
  const url = (file: string) => `http://127.0.0.1:${(files.address() as AddressInfo).port}/${file}`;
  const name = 'default';
  while (!(await resources.get(EnvironmentKind, { name }, { live: true }))) await delay(50);
  await resources.change<Environment>(EnvironmentKind, { name }, (draft) => {
    draft.spec = { kernel: { url: url('vmlinuz'), args: ['talos.platform=metal'] }, initrd: { url: url('initramfs.xz') } };
  });
}

interface Phase {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly calls: number;
}

async function phase({ plane, metricsPort }: Rack, work: () => Promise<void>): Promise<Phase> {
  const before = { calls: await callsOf(metricsPort), cpu: await cpuSeconds(plane.pid), at: performance.now() };
  await work();
  const seconds = (performance.now() - before.at) / 1000;
  return { seconds, cpuSeconds: (await cpuSeconds(plane.pid)) - before.cpu, calls: (await callsOf(metricsPort)) - before.calls };
}

async function callsOf(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith('sidero_kube_requests_total{') && !line.includes('verb="watch"'));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name in parentheses may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

async function peak(pid: number): Promise<number> {
  return Number(/VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

const isAtRest = ({ status }: Server) => status?.isClean === true && status.power === 'off';

/** Resolves when that is so of every machine; what machines know themselves costs the management plane nothing. */
async function until({ machines }: Rack, isThere: (machine: SimulatedMachine) => boolean): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  for (let left = machines; ; await delay(50)) {
    left = left.filter((machine) => !isThere(machine));
    if (left.length === 0) return;
    // As people do with machines that gave up: the host may be too busy for their patience.
    for (const machine of left.filter(({ state }) => state.stage === 'failed')) {
      machine.powerOff();
      machine.powerOn();
    }
    if (performance.now() > endMs)
      throw new Error(`after ${LIMIT_MS} ms ${left.length} machines are not there, the first: ${JSON.stringify(left[0]!.state)}`);
  }
}

/** The API comes to the same, a moment later at most. */
async function confirmed(count: () => Promise<number>): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  for (let found = await count(); found < SERVERS; found = await count()) {
    if (performance.now() > endMs) throw new Error(`the API knows ${found} of ${SERVERS}`);
    await delay(500);
  }
}

/** A Cluster and its MetalCluster, then a Machine with bootstrap data and a MetalMachine for each server. */
async function createMachines(resources: ResourceClient): Promise<void> {
  const infrastructure = { apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3' } as const;
  const core = { apiVersion: ClusterKind.apiVersion } as const;
  const serverClassRef = { kind: 'ServerClass', name: 'any' };
  const data = { value: Buffer.from(aTalosConfig({ cluster: CLUSTER })).toString('base64') };
  const metadata = { namespace, name: CLUSTER };
  const reference = (kind: string, name: string) => ({ infrastructureRef: { ...infrastructure, kind, name, namespace } });
  await resources.create<KubeObject>(ClusterKind, { ...core, kind: 'Cluster', metadata, spec: reference('MetalCluster', CLUSTER) } as KubeObject);
  await resources.create(MetalClusterKind, {
    ...infrastructure,
    kind: 'MetalCluster',
    metadata,
    spec: { controlPlaneEndpoint: { host: '10.0.0.10', port: 6443 } },
  });
  await inTurns(SERVERS, async (index) => {
    const own = { namespace, name: `${CLUSTER}-${index}`, labels: { 'cluster.x-k8s.io/cluster-name': CLUSTER } };
    await resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: own, data });
    await resources.create(MetalMachineKind, { ...infrastructure, kind: 'MetalMachine', metadata: own, spec: { serverClassRef } });
    const spec = { clusterName: CLUSTER, bootstrap: { dataSecretName: own.name }, ...reference('MetalMachine', own.name) };
    await resources.create(MachineKind, { ...core, kind: 'Machine', metadata: own, spec });
  });
}

async function inTurns(count: number, make: (index: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, offset) => make(from + offset)));
}
