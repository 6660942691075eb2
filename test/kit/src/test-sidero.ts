import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import {
  createLogger,
  definePlugin,
  EnvironmentKind,
  type Kind,
  type KubeObject,
  type Lifecycle,
  type Logger,
  type Plugin,
  type ResourceClient,
  SecretKind,
  ServerBindingKind,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import { agent } from '@sidero/plugin-agent';
import type { RunningSidero } from '@sidero/core/start';
import { startApiServer } from '@sidero/plugin-apiserver';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import * as z from 'zod';
import { failure } from './errors.ts';
import { type FleetOptions, fleet } from './machine/fleet.ts';
import type { Plane, SimulatedMachine } from './machine/machine.ts';
import { type PlaneOptions, type PlanePorts, startPlane } from './plane.ts';
import { writeStandIns } from './stand-ins.ts';

export interface TestSideroOptions {
  /** Objects that are there before anything asks, with their status. */
  readonly objects?: readonly KubeObject[];
  /** Plugins besides the embedded API, the agent API and iPXE. */
  readonly plugins?: readonly Plugin[];
  /** Options of the agent API's plugin. Default: it accepts every server. */
  readonly agent?: Parameters<typeof agent>[0];
  /** DHCP on the loopback interface (Linux only); machines then get address and boot file from it. Default: none. */
  readonly dhcp?: 'full' | 'proxy';
  /** Options of the iPXE plugin; the ports are chosen here. */
  readonly bootIpxe?: Parameters<typeof bootIpxe>[0];
  /** Options of the site, `bootAuth` above all. */
  readonly site?: PlaneOptions['site'];
  /** Environment variables that plugins read their options from. */
  readonly variables?: PlaneOptions['variables'];
  /** Clock of boot tokens and records. */
  readonly now?: () => Date;
  /** Default: silent. */
  readonly log?: Logger;
  /** Folder for what outlives the process. Default: one of its own, removed by `close`. */
  readonly dataDir?: string;
}

/** A whole management plane in this process: embedded API in memory, every port on loopback and free. */
export interface TestSidero extends AsyncDisposable {
  readonly resources: ResourceClient;
  readonly lifecycle: Lifecycle;
  readonly kubeConfig: RunningSidero['kubeConfig'];
  readonly ports: Plane & { readonly host: string };
  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  readonly url: string;
  /** The running system itself, for what is not above. */
  readonly running: RunningSidero;
  /** Machines plugged into this plane, off; their pauses are a thousandth of real ones. `close` cuts their power. */
  machines(count: number, options?: Partial<Omit<FleetOptions, 'plane'>>): readonly SimulatedMachine[];
  /** One machine plugged into this plane. */
  machine(options?: Partial<Omit<FleetOptions, 'plane'>>): SimulatedMachine;
  close(): Promise<void>;
}

/** @example await using sidero = await testSidero({ objects: [aServer()] }); */
export async function testSidero(options: TestSideroOptions = {}): Promise<TestSidero> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'sidero-test-')));
  const removed = async () => {
    if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await writeStandIns(dataDir);
    const running = await startPlane({
      dataDir,
      log: options.log ?? silentLogger(),
      site: options.site,
      variables: options.variables,
      now: options.now,
      plugins: (ports) => [
        apiInMemory(),
        agent({ autoAccept: true, ...options.agent }),
        bootIpxe({ ...options.bootIpxe, tftpPort: ports.tftp, tftpAddress: '127.0.0.1', ...dhcpOptions(options.dhcp, ports) }),
        ...(options.plugins ?? []),
      ],
    });
    for (const object of options.objects ?? []) await createWithStatus(running.sidero.resources, object);
    return handles(running.sidero, { removed, ports: { ...running.plane, ...(options.dhcp && { dhcp: running.dhcpPort }) } });
  } catch (thrown) {
    await removed();
    throw thrown;
  }
}

/** The embedded API as tests want it: nothing on disk, a free port. */
const apiInMemory = definePlugin({
  name: 'apiserver-in-memory',
  options: z.strictObject({}),
  setup({ cluster, log }) {
    cluster.provide(async ({ customResources, signal }) => {
      const server = await startApiServer({ customResources, log });
      signal.addEventListener('abort', () => void server.close(), { once: true });
      return server.kubeConfig;
    });
  },
});

/** Addresses that full DHCP gives: a part of loopback that nothing else here uses. */
const DHCP_RANGE: [string, string] = ['127.100.0.1', '127.100.255.254'];

function dhcpOptions(mode: TestSideroOptions['dhcp'], { dhcp: dhcpPort }: PlanePorts) {
  if (!mode) return {};
  const link = mode === 'full' ? { mode, interface: 'lo', range: DHCP_RANGE } : { mode, interface: 'lo' };
  // PXE's boot service needs a port besides; startPlane tries others when it is taken.
  return { dhcpPort, dhcpBootServicePort: dhcpPort + 1, dhcp: [link] };
}

/** A logger that says nothing. */
export function silentLogger(): Logger {
  return createLogger({ level: 'silent', destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });
}

function handles(sidero: RunningSidero, given: { ports: TestSidero['ports']; removed: () => Promise<void> }): TestSidero {
  const { ports, removed } = given;
  const made: SimulatedMachine[] = [];
  const machines: TestSidero['machines'] = (count, options) => {
    const added = fleet(count, { seed: `machine-${made.length}`, timeFactor: 0.001, ...options, plane: ports });
    made.push(...added);
    return added;
  };
  const close = async () => {
    for (const machine of made) machine.cutPower('the test is over');
    await sidero.close();
    await removed();
  };
  return {
    resources: sidero.resources,
    lifecycle: sidero.kernel.lifecycle,
    kubeConfig: sidero.kubeConfig,
    ports,
    url: `http://${ports.host}:${ports.http}`,
    running: sidero,
    machines,
    machine: (options) => machines(1, options)[0]!,
    close,
    [Symbol.asyncDispose]: close,
  };
}

const KINDS: readonly Kind<KubeObject>[] = [ServerKind, ServerClassKind, EnvironmentKind, ServerBindingKind, SecretKind];

/** Creates an object and then its status, which the API takes apart. @throws SIDERO_TEST_KIND_UNKNOWN */
export async function createWithStatus(resources: ResourceClient, object: KubeObject): Promise<void> {
  const kind = KINDS.find(({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind);
  if (!kind) throw failure('SIDERO_TEST_KIND_UNKNOWN', { apiVersion: object.apiVersion, kind: object.kind });
  const { status, ...rest } = object as KubeObject & { status?: object };
  await resources.create(kind, rest);
  if (!status) return;
  await resources.change(kind as Kind<KubeObject & { status?: object }>, object.metadata, (draft) => {
    draft.status = status;
  });
}
