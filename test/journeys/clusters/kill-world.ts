import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
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
  type Plugin,
  type PowerDriver,
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
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { caps, capsCustomResources, type MetalMachine, MetalMachineKind } from '@sidero/plugin-caps';
import { anEnvironment, createWithStatus, fleet, silentLogger, type SimulatedMachine, type StageName, writeStandIns } from '@sidero/testing';
import { SimulatedBmc, simulatorDriver } from '@sidero/testing/bmc';
import * as z from 'zod';
import { Breaches } from './breaches.ts';
import { clusterApiDefinitions } from './cluster-api.ts';
import { layWire, type Wire } from './cut-wire.ts';
import { PlayedTalos } from './played-talos.ts';
import { Timeline } from './timeline.ts';

/** One life of the management plane. */
interface Life {
  readonly running: RunningSidero;
  /** Its own, to the API. */
  readonly wire: Wire;
  isOver: boolean;
}

/** Everything of a run that its seed does not change. */
// A busy host needs seconds for a boot: whoever is given less boots for ever.
const TIMING = { rebootTimeoutMs: 5000, powerPollMs: 1000 };
const ORPHAN_GRACE_MS = 1000;
/** Of what an agent waits in reality. */
const TIME_FACTOR = 0.01;
const SIZES = { kernelBytes: 1000, initrdBytes: 1000 };

/**
 * An API that stays, machines that stay, and a management plane that is killed and started again. The machines are simulated down to the wire: they
 * boot by iPXE, their agents register and wipe, they fetch their configurations over HTTP, and BMCs switch them.
 */
export class KillWorld implements AsyncDisposable {
  readonly talos: readonly PlayedTalos[];
  readonly breaches: Breaches;
  /** Everything that was done and seen. */
  readonly timeline = new Timeline();
  /** The API on a wire that is never cut. */
  readonly truth: RunningResourceClient;
  readonly #api: ApiServer;
  readonly #dataDir: string;
  /** How late the management plane hears of changes. */
  readonly #watchLagMs: number;
  /** What machines take for the management plane. */
  readonly #front: Wire;
  readonly #bmcs: ReadonlyMap<string, SimulatedBmc>;
  readonly #stop = new AbortController();
  #life: Life | undefined;
  #ending: Promise<unknown> = Promise.resolve();

  static async create(given: { readonly seed: string; readonly machines: number; readonly watchLagMs: number }): Promise<KillWorld> {
    const dataDir = await mkdtemp(join(tmpdir(), 'sidero-kill-'));
    await writeStandIns(dataDir, SIZES);
    const environment = join(dataDir, 'env', 'default');
    await mkdir(environment, { recursive: true });
    await Promise.all(['vmlinuz', 'initramfs.xz'].map((name) => writeFile(join(environment, name), 'Talos is played\n')));
    const customResources: CustomResource[] = [
      ...coreCustomResources(),
      ...capsCustomResources(),
      ...clusterApiDefinitions().map((definition) => ({ name: definition.metadata.name, definition })),
    ];
    const api = await startApiServer({ customResources });
    const front = await layWire(() => world.#life?.running.port);
    const world: KillWorld = new KillWorld({ ...given, api, dataDir, front });
    // SideroLink is played too: it is heard when Talos is installed.
    const kernel = { url: undefined, args: ['siderolink.api=played'] };
    await createWithStatus(world.truth, anEnvironment({ spec: { kernel, initrd: undefined } }));
    return world;
  }

  private constructor(given: { seed: string; machines: number; watchLagMs: number; api: ApiServer; dataDir: string; front: Wire }) {
    const { seed, machines: count, api, dataDir, front } = given;
    this.#api = api;
    this.#dataDir = dataDir;
    this.#front = front;
    this.#watchLagMs = given.watchLagMs;
    this.truth = createResourceClient({ kubeConfig: () => api.kubeConfig, log: silentLogger(), metrics: createMetrics(), component: 'world' });
    this.breaches = new Breaches(this.truth, (what) => this.timeline.push(what));
    this.breaches.follow(this.#stop.signal);
    this.truth.start(this.#stop.signal);
    const plane = { host: '127.0.0.1', http: front.port, tftp: 0 };
    // The wire to the management plane hides their addresses anyway.
    const machines = fleet(count, { plane, seed, address: '127.0.0.1', hasIpxeRom: true, timeFactor: TIME_FACTOR });
    this.talos = machines.map((machine) => new PlayedTalos(machine, { truth: this.truth, breaches: this.breaches }));
    for (const { uuid, machine } of this.talos)
      machine.onState(({ stage, detail = '' }) => this.timeline.push(`${uuid.slice(0, 8)}: ${stage} ${detail}`));
    this.#bmcs = new Map(this.talos.map((talos) => [talos.uuid, new SimulatedBmc({ chassis: this.#chassisOf(talos) })]));
  }

  /** Starts the management plane, on a wire of its own to the API. */
  async start(): Promise<void> {
    const wire = await layWire(() => Number(new URL(this.#api.url).port), this.#watchLagMs);
    const kubeConfig = this.#api.kubeConfig;
    const clusters = kubeConfig.clusters.map((cluster) => ({ ...cluster, server: `https://127.0.0.1:${wire.port}` }));
    const ownWire = Object.assign(Object.create(Object.getPrototypeOf(kubeConfig) as object) as typeof kubeConfig, kubeConfig, { clusters });
    const life = { wire, isOver: false };
    const config = checkConfig(
      {
        ...TIMING,
        endpoint: '127.0.0.1',
        apiPort: this.#front.port,
        httpPort: 0,
        dataDir: this.#dataDir,
        leaderElection: false,
        healthAddress: 'off',
        diagnosticsAddress: 'off',
        plugins: [
          apiAt(() => ownWire),
          agent({ autoAccept: true }),
          bootIpxe({ tftpPort: 0, tftpAddress: '127.0.0.1' }),
          caps({ orphanGraceMs: ORPHAN_GRACE_MS }),
          powerOf((uuid) => this.#bmcs.get(uuid), life),
        ],
      },
      { file: 'kill world', variables: {} },
    );
    const running = await startSidero({ config, log: silentLogger(), variables: { SIDERO_FETCH_ENVIRONMENTS: 'false' }, host: '127.0.0.1' });
    this.#life = Object.assign(life, { running });
  }

  /** As `kill -9`: from one moment on nothing of it reaches the API, a machine or a BMC. */
  kill(): void {
    const life = this.#life;
    this.#life = undefined;
    if (!life) return;
    life.isOver = true;
    // BMCs end sessions that nobody uses.
    for (const bmc of this.#bmcs.values()) bmc.sessions.clear();
    life.wire.cut();
    this.#front.cut();
    // What is left of it in this process has nothing to say any more; the next one need not wait for it.
    this.#ending = Promise.all([this.#ending, life.wire.close(), life.running.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await Promise.all(this.talos.map((talos) => talos.close()));
    await this.#ending;
    await this.#front.close();
    this.#stop.abort();
    await this.truth.close();
    await this.#api.close();
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  /** Every binding, MetalMachine and Server as the API has them. */
  async objects(): Promise<{ bindings: readonly ServerBinding[]; machines: readonly MetalMachine[]; servers: readonly Server[] }> {
    const [bindings, machines, servers] = await Promise.all([
      this.truth.list(ServerBindingKind, {}, { live: true }),
      this.truth.list(MetalMachineKind, {}, { live: true }),
      this.truth.list(ServerKind, {}, { live: true }),
    ]);
    return { bindings, machines, servers };
  }

  /** Resolves when Talos runs somewhere, or when it does not within so long. */
  async firstTalos(patienceMs: number): Promise<void> {
    const deadline = performance.now() + patienceMs;
    while (!this.talos.some(({ runs }) => runs) && performance.now() < deadline) await delay(20);
  }

  /** Resolves when a machine enters a stage, or when none does for so long. */
  async nextStage(stage: StageName, patienceMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stops = this.talos.map(({ machine }) => machine.onState((state) => state.stage === stage && resolve()));
    await Promise.race([promise, delay(patienceMs)]);
    for (const stop of stops) stop();
  }

  /** Resolves when a ServerBinding comes or goes, or when none does for so long. */
  async nextBinding(patienceMs: number): Promise<void> {
    await Promise.race([this.breaches.nextBinding(), delay(patienceMs)]);
  }

  #chassisOf(talos: PlayedTalos) {
    const { machine } = talos;
    return {
      isOn: () => machine.isOn(),
      powerOn: (boot: Parameters<SimulatedMachine['powerOn']>[0]) => machine.powerOn(boot),
      powerOff: () => {
        if (machine.isOn()) this.breaches.powerCut(talos, this.#bmcs.get(talos.uuid)!.control.actions.at(-1)!);
        machine.powerOff();
      },
    };
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

/** The BMCs, reached by one life of the management plane. */
function powerOf(bmcOf: (uuid: string) => SimulatedBmc | undefined, life: { readonly isOver: boolean }): Plugin {
  const simulator = simulatorDriver({ name: 'kill-world', needsLogin: false, bmcOf: ({ metadata }) => bmcOf(metadata.name) });
  const driver: PowerDriver = { ...simulator, open: async (...given) => mortal(await simulator.open(...given), life) };
  const plugin = definePlugin({
    name: 'kill-world-power',
    options: z.strictObject({}),
    setup: ({ powerDrivers }) => powerDrivers.add(driver),
  });
  return plugin();
}

/** Sessions end with the life that opened them. */
function mortal(session: PowerSession, life: { readonly isOver: boolean }): PowerSession {
  return new Proxy(session, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return async (...given: readonly unknown[]) => {
        if (life.isOver) throw new Error('this life is over');
        return Reflect.apply(member, target, given) as unknown;
      };
    },
  });
}
