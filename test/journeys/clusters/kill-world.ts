import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server as TcpServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  checkConfig,
  coreCustomResources,
  createMetrics,
  createResourceClient,
  type CustomResource,
  definePlugin,
  markTrue,
  type Plugin,
  type PowerSession,
  type RunningResourceClient,
  type Server,
  type ServerBinding,
  ServerBindingKind,
  ServerKind,
} from '@sidero/core';
import { type RunningSidero, startSidero } from '@sidero/core/start';
import { agent } from '@sidero/plugin-agent';
import { type ApiServer, startApiServer } from '@sidero/plugin-apiserver';
import { caps, capsCustomResources, type MetalMachine, MetalMachineKind } from '@sidero/plugin-caps';
import { anEnvironment, createWithStatus, silentLogger, writeStandIns } from '@sidero/testing';
import * as z from 'zod';
import { clusterApiDefinitions } from './cluster-api.ts';

/** What a machine is doing, and what is on its disk. */
interface Machine {
  isOn: boolean;
  bootsFromNetwork: boolean;
  /** Counts power-ons: what a boot of before still does is void. */
  boots: number;
  /** uid of the MetalMachine whose Talos is installed. */
  disk: string | undefined;
  /** The same, of the one that runs now. */
  runs: string | undefined;
}

/** One incarnation of the management plane; killed, nothing of it reaches the API any more. */
interface Manager {
  readonly running: RunningSidero;
  readonly wire: TcpServer;
  readonly sockets: Set<Socket>;
}

/**
 * An API that stays, machines that stay, and a management plane that is killed and started again. Machines do what real ones do: boot what they are
 * told, are wiped by the agent, install Talos. Everything that must never happen is written down.
 */
export class KillWorld implements AsyncDisposable {
  readonly machines = new Map<string, Machine>();
  readonly violations: string[] = [];
  readonly truth: RunningResourceClient;
  readonly #api: ApiServer;
  readonly #dataDir: string;
  readonly #stop = new AbortController();
  #manager: Manager | undefined;

  static async create(servers: readonly Server[]): Promise<KillWorld> {
    const dataDir = await mkdtemp(join(tmpdir(), 'sidero-kill-'));
    await writeStandIns(dataDir);
    const customResources: CustomResource[] = [
      ...coreCustomResources(),
      ...capsCustomResources(),
      ...clusterApiDefinitions().map((definition) => ({ name: definition.metadata.name, definition })),
    ];
    const api = await startApiServer({ customResources });
    const world = new KillWorld(api, dataDir);
    for (const server of servers) await world.#add(server);
    await createWithStatus(world.truth, anEnvironment({ spec: { kernel: { url: undefined, args: [] }, initrd: undefined } }));
    return world;
  }

  private constructor(api: ApiServer, dataDir: string) {
    this.#api = api;
    this.#dataDir = dataDir;
    this.truth = createResourceClient({ kubeConfig: () => api.kubeConfig, log: silentLogger(), metrics: createMetrics(), component: 'world' });
  }

  async #add(server: Server): Promise<void> {
    this.machines.set(server.metadata.name, { isOn: false, bootsFromNetwork: false, boots: 0, disk: undefined, runs: undefined });
    await createWithStatus(this.truth, server);
  }

  /** Starts the management plane, on a wire of its own to the API. */
  async start(): Promise<void> {
    const sockets = new Set<Socket>();
    const target = new URL(this.#api.url);
    const wire = createServer((near) => {
      const far = connect(Number(target.port), target.hostname);
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => (near.destroy(), far.destroy()));
      }
      near.pipe(far).pipe(near);
    }).listen(0, '127.0.0.1');
    await once(wire, 'listening');
    const { port } = wire.address() as { port: number };
    const kubeConfig = this.#api.kubeConfig;
    const clusters = kubeConfig.clusters.map((cluster) => ({ ...cluster, server: `https://127.0.0.1:${port}` }));
    const ownWire = Object.assign(Object.create(Object.getPrototypeOf(kubeConfig) as object) as typeof kubeConfig, kubeConfig, { clusters });
    const plugins = [apiAt(() => ownWire), agent(), caps({ orphanGraceMs: 2000 }), this.#powerDriver()];
    const site = { endpoint: '127.0.0.1', httpPort: 0, dataDir: this.#dataDir, leaderElection: false, rebootTimeoutMs: 3000, powerPollMs: 1000 };
    const config = checkConfig({ ...site, healthAddress: 'off', diagnosticsAddress: 'off', plugins }, { file: 'kill world', variables: {} });
    const running = await startSidero({ config, log: silentLogger(), variables: { SIDERO_FETCH_ENVIRONMENTS: 'false' }, host: '127.0.0.1' });
    this.#manager = { running, wire, sockets };
  }

  /** As `kill -9`: from one moment on nothing of it reaches the API. */
  async kill(): Promise<void> {
    const manager = this.#manager;
    this.#manager = undefined;
    if (!manager) return;
    manager.wire.close();
    for (const socket of manager.sockets) socket.destroy();
    await manager.running.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.kill();
    await this.truth.close();
    await this.#api.close();
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  /** Every binding and MetalMachine as the API has them. */
  async objects(): Promise<{ bindings: readonly ServerBinding[]; machines: readonly MetalMachine[]; servers: readonly Server[] }> {
    const [bindings, machines, servers] = await Promise.all([
      this.truth.list(ServerBindingKind, {}, { live: true }),
      this.truth.list(MetalMachineKind, {}, { live: true }),
      this.truth.list(ServerKind, {}, { live: true }),
    ]);
    return { bindings, machines, servers };
  }

  #powerDriver(): Plugin {
    const session = (uuid: string): PowerSession => ({
      isOn: async () => this.machines.get(uuid)!.isOn,
      on: async () => this.#switch(uuid, 'on'),
      off: async () => this.#switch(uuid, 'off'),
      cycle: async () => this.#switch(uuid, 'cycle'),
      networkBootOnce: async () => void (this.machines.get(uuid)!.bootsFromNetwork = true),
      [Symbol.asyncDispose]: async () => undefined,
    });
    const plugin = definePlugin({
      name: 'kill-world-power',
      options: z.strictObject({}),
      setup: ({ powerDrivers }) =>
        powerDrivers.add({
          name: 'kill-world',
          needsLogin: false,
          claims: () => true,
          deviceOf: ({ metadata }) => metadata.name,
          open: async ({ metadata }) => session(metadata.name),
        }),
    });
    return plugin();
  }

  async #switch(uuid: string, verb: 'on' | 'off' | 'cycle'): Promise<void> {
    const machine = this.machines.get(uuid)!;
    if (verb === 'on' && machine.isOn) return;
    if (verb !== 'on') await this.#refuseInUse(uuid, `power ${verb}`);
    machine.isOn = verb !== 'off';
    machine.runs = undefined;
    machine.boots += 1;
    if (machine.isOn) void this.#boot(uuid, machine.boots);
  }

  // What runs for a MetalMachine that still has it must go on running.
  async #refuseInUse(uuid: string, what: string): Promise<void> {
    const { runs } = this.machines.get(uuid)!;
    const { machines } = await this.objects();
    const owner = machines.find(({ metadata }) => metadata.uid === runs);
    if (runs && owner && !owner.metadata.deletionTimestamp) this.violations.push(`${what} of ${uuid}, which runs ${owner.metadata.name}`);
  }

  async #boot(uuid: string, boot: number): Promise<void> {
    const machine = this.machines.get(uuid)!;
    const isCurrent = () => machine.boots === boot && machine.isOn && !this.#stop.signal.aborted;
    const fromNetwork = machine.bootsFromNetwork || machine.disk === undefined;
    machine.bootsFromNetwork = false;
    if (!fromNetwork) machine.runs = machine.disk;
    while (fromNetwork && isCurrent()) {
      const isDone = await this.#networkBoot(uuid, isCurrent).catch(() => false);
      if (isDone) return;
      await delay(100, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #networkBoot(uuid: string, isCurrent: () => boolean): Promise<boolean> {
    const machine = this.machines.get(uuid)!;
    const lifecycle = this.#manager?.running.kernel.lifecycle;
    if (!lifecycle) return false;
    const request = { uuid, mac: '52:54:00:00:00:01', arch: 'amd64', address: '10.0.0.50' } as const;
    const plan = await lifecycle.boot(request);
    lifecycle.stream({ type: 'seen', wire: 'ipxe', uuid, mac: request.mac, address: request.address, at: new Date() });
    if (plan.target === 'disk') machine.runs = machine.disk;
    else if (plan.target === 'environment') return this.#install(uuid);
    else if (plan.target === 'agent') await this.#runAgent(uuid, isCurrent);
    return plan.target === 'disk';
  }

  async #install(uuid: string): Promise<boolean> {
    const machine = this.machines.get(uuid)!;
    const binding = await this.truth.get(ServerBindingKind, { name: uuid }, { live: true });
    const owner = binding?.spec?.metalMachineRef.uid;
    if (!owner) return false;
    if (machine.disk !== undefined && machine.disk !== owner) this.violations.push(`${uuid} was given to ${owner} with ${machine.disk} on its disk`);
    [machine.disk, machine.runs] = [owner, owner];
    await this.truth.change(ServerBindingKind, { name: uuid }, (draft) => {
      if (draft.spec?.metalMachineRef.uid !== owner) return false;
      draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
    });
    return true;
  }

  // The agent stays, asks what there is to do, and reboots once its machine is allocated.
  async #runAgent(uuid: string, isCurrent: () => boolean): Promise<void> {
    while (isCurrent()) {
      if (await this.truth.get(ServerBindingKind, { name: uuid }, { live: true })) return;
      await this.#askForWipe(uuid).catch(() => undefined);
      await delay(100, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #askForWipe(uuid: string): Promise<void> {
    const server = await this.truth.get(ServerKind, { name: uuid }, { live: true });
    const lifecycle = this.#manager?.running.kernel.lifecycle;
    if (!server?.status?.boot?.id || !lifecycle) return;
    const pass = { uuid, bootId: server.status.boot.id, proven: true };
    lifecycle.stream({ type: 'seen', wire: 'agent', uuid, address: '10.0.0.50', at: new Date() });
    const plan = await lifecycle.wipe(server);
    if ('hold' in plan) return;
    await lifecycle.wipeHanded(pass, { plan, isByDisk: false });
    await this.#refuseWipeInUse(uuid);
    this.machines.get(uuid)!.disk = undefined;
    await lifecycle.wiped(pass);
  }

  async #refuseWipeInUse(uuid: string): Promise<void> {
    const { disk } = this.machines.get(uuid)!;
    const { machines } = await this.objects();
    const owner = machines.find(({ metadata }) => metadata.uid === disk);
    if (owner && !owner.metadata.deletionTimestamp) this.violations.push(`wipe of ${uuid}, the disk of ${owner.metadata.name}`);
  }
}

/** A plugin that provides an API which is there already. */
function apiAt(kubeConfig: () => ApiServer['kubeConfig']): Plugin {
  const plugin = definePlugin({
    name: 'api-that-stays',
    options: z.strictObject({}),
    setup: ({ cluster }) => cluster.provide(async () => kubeConfig()),
  });
  return plugin();
}
