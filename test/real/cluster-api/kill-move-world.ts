import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, type ResourceClient, ServerBindingKind, type ServerClass, ServerClassKind, ServerKind } from '@sidero/core';
import type { SimulatedMachine } from '@sidero/testing';
import { type Chassis, type PowerApi, startPowerApi } from '@sidero/testing/bmc';
import { freePorts } from '@sidero/testing';
import { layWire, type Wire } from '../../journeys/clusters/cut-wire.ts';
import { generateCluster } from './clusterctl.ts';
import { KillManagement } from './kill-move-management.ts';
import { plugIn, type TalosRack } from './rack.ts';
import { WorkloadCluster } from './workload-cluster.ts';

const CLASS = 'talos';
export const CLUSTER = 'rack-1';
const MACHINES = 3;
const RETRY_MS = 300;

/**
 * Two management clusters of real parts, and between them one cluster of machines, which run Talos' stand-in. Machines find the one that has the cluster now.
 * What nobody may touch at a time is protected: a power order for it, a wipe, or that its Talos ends is a breach.
 */
export class KillMoveWorld implements AsyncDisposable {
  readonly breaches: string[] = [];
  /** The one that has the cluster, and the one that may get it. */
  home: KillManagement;
  other: KillManagement;
  readonly #workload: WorkloadCluster;
  readonly #rack: TalosRack;
  readonly #powers = new Map<string, PowerApi>();
  readonly #stack: AsyncDisposableStack;
  #protected: ReadonlySet<string> = new Set();
  #during = '';

  /** Starts everything: a cluster of one control plane that runs, and Sidero in the management cluster that has it. About 45 s. */
  static async start(): Promise<KillMoveWorld> {
    await using stack = new AsyncDisposableStack();
    let world: KillMoveWorld | undefined = undefined;
    const now = (): KillMoveWorld => world!;
    const front = stack.adopt(await layWire(() => (world?.home.isAlive ? world.home.httpPort : undefined)), (wire: Wire) => wire.close());
    const [port = 0] = await freePorts(1);
    const workload = stack.use(new WorkloadCluster({ name: CLUSTER, port, management: () => bearing(now().home) }));
    // One after the other: two API servers that look for free ports take each other's.
    const home = stack.use(await KillManagement.start({ front: front.port, environment: CLASS }));
    const other = stack.use(await KillManagement.start({ front: front.port, environment: CLASS }));
    const installed = new Set<string>();
    const plane = { host: '127.0.0.1', http: front.port, tftp: 0 };
    const rack = stack.use(
      await plugIn(plane, {
        count: MACHINES,
        bmcs: new Map(),
        onEvent: (event) => {
          if (event.event === 'off' || event.event === 'reboot') now().touched(event.uuid, `its Talos ends: ${event.event}`);
          if (event.event === 'installed') installed.add(event.uuid);
          // What was let go, and boots its disk once more before it is wiped, is no node any more.
          if (event.event !== 'running' || installed.delete(event.uuid)) workload.tell(event);
        },
      }),
    );
    world = new KillMoveWorld({ home, other, workload, rack, stack: stack.move() });
    await world.#begin(port);
    return world;
  }

  private constructor(given: {
    home: KillManagement;
    other: KillManagement;
    workload: WorkloadCluster;
    rack: TalosRack;
    stack: AsyncDisposableStack;
  }) {
    this.home = given.home;
    this.other = given.other;
    this.#workload = given.workload;
    this.#rack = given.rack;
    this.#stack = given.stack;
  }

  get machines(): readonly SimulatedMachine[] {
    return this.#rack.machines;
  }

  isInstalled(uuid: string): boolean {
    return this.#rack.isInstalled(uuid);
  }

  /** From now on nobody may touch these, until others are named; `during` is for the message. */
  protect(uuids: readonly string[], during: string): void {
    this.#protected = new Set(uuids);
    this.#during = during;
  }

  /** Something was done to a machine. */
  touched(uuid: string, what: string): void {
    if (this.#protected.has(uuid)) this.breaches.push(`${new Date().toISOString()}, ${this.#during}: ${uuid}, which is in use: ${what}`);
  }

  /** Every order that BMCs were given, oldest first. */
  orders(): Readonly<Record<string, readonly string[]>> {
    return Object.fromEntries([...this.#powers].map(([uuid, { control }]) => [uuid, [...control.actions]]));
  }

  /** Names of the servers that have a ServerBinding at home. */
  async bound(): Promise<readonly string[]> {
    return (await this.home.resources.list(ServerBindingKind, {}, { live: true })).map(({ metadata }) => metadata.name);
  }

  /** Waits for something. @throws what is not so, with what everybody said last */
  async until(assertion: () => Promise<void>, timeoutMs = 120_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      try {
        await this.#workload.settled();
        return await assertion();
      } catch (thrown) {
        if (performance.now() > deadline) throw new Error(`${String(thrown)}\n${this.#said()}`, { cause: thrown });
      }
      await delay(300);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #begin(port: number): Promise<void> {
    for (const machine of this.machines) await this.#plug(machine);
    await this.home.startSidero();
    for (const management of [this.home, this.other])
      await management.resources.create<ServerClass>(ServerClassKind, {
        apiVersion: 'metal.sidero.dev/v1alpha2',
        kind: 'ServerClass',
        metadata: { name: CLASS },
        spec: { environmentRef: { name: CLASS }, strategicPatches: ['machine: {install: {disk: /dev/nvme0n1}}'] },
      });
    for (const machine of this.machines) machine.powerOn();
    await this.until(async () => this.#giveBmcs());
    const wish = { name: CLUSTER, port, serverClass: CLASS, controlPlanes: 1, workers: 0 };
    await this.home.kubectl(['apply', '-n', 'default', '-f', '-'], await generateCluster(this.home, wish));
  }

  async #plug(machine: SimulatedMachine): Promise<void> {
    const chassis: Chassis = {
      isOn: () => machine.isOn(),
      powerOn: (boot) => machine.powerOn(boot),
      powerOff: () => {
        if (machine.isOn()) this.touched(machine.uuid, `its power was cut, ${machine.state.stage}, told to ${this.orders()[machine.uuid]?.at(-1)}`);
        machine.powerOff();
      },
    };
    this.#powers.set(machine.uuid, this.#stack.use(await startPowerApi({ chassis })));
    machine.onState(({ stage }) => {
      if (stage === 'wiping') this.touched(machine.uuid, 'it is wiped');
      if (stage === 'failed') setTimeout(() => tryAgain(machine), RETRY_MS).unref();
    });
  }

  // As whoever racks servers does.
  async #giveBmcs(): Promise<void> {
    for (const [uuid, { endpoint }] of this.#powers)
      await this.home.resources.change(ServerKind, { name: uuid }, (draft) => {
        draft.spec = { ...draft.spec!, managementApi: { endpoint } };
      });
  }

  #said(): string {
    const events = this.#rack.talos.events.slice(-10).map((event) => JSON.stringify(event));
    const states = this.machines.map(({ uuid, state }) => `${uuid}: ${JSON.stringify(state)}`);
    return [...this.breaches, ...states, ...events, this.home.clusterApi.said(), '--- home', this.home.said, '--- other', this.other.said].join('\n');
  }
}

/** As a management cluster is to those who tell it of machines: of one that was let go meanwhile nothing is written. */
function bearing(management: KillManagement): Pick<KillManagement, 'kubectl'> & { readonly resources: ResourceClient } {
  const { resources } = management;
  const change: ResourceClient['change'] = (kind, ref, edit) =>
    resources.change(kind, ref, edit).catch((thrown: unknown) => {
      if (!hasCode(thrown, 'SIDERO_RESOURCE_MISSING')) throw thrown;
      return { apiVersion: kind.apiVersion, kind: kind.kind, metadata: { name: ref.name } } as never;
    });
  const patient = new Proxy(resources, {
    get(target, name) {
      if (name === 'change') return change;
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...given: readonly unknown[]) => Reflect.apply(member, target, given) as unknown;
    },
  });
  return { kubectl: (...given) => management.kubectl(...given), resources: patient };
}

// Firmware begins again where there is nothing to boot.
function tryAgain(machine: SimulatedMachine): void {
  if (machine.state.stage !== 'failed') return;
  machine.cutPower('its firmware tries again');
  machine.powerOn({ device: 'network', isPersistent: false });
}
