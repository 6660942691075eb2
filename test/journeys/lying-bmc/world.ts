import {
  createLogger,
  createMetrics,
  type KubeObject,
  type NetworkBootMode,
  type PowerDriver,
  type Server,
  ServerBindingKind,
  ServerKind,
} from '@sidero/core';
import { type Random, seededRandom } from '@sidero/testing';
import { type BmcFaults, SimulatedBmc, simulatorDriver } from '@sidero/testing/bmc';
import { serverLoop } from '../../../core/src/builtin/servers/server-loop.ts';
import { createHooks } from '../../../core/src/hooks.ts';
import { createLifecycle } from '../../../core/src/lifecycle/index.ts';
import { createEvidence } from '../../../core/src/power/evidence.ts';
import { createPower } from '../../../core/src/power/index.ts';
import { MemoryApi, memoryClient } from './memory-resources.ts';
import { SimulatedChassis } from './simulated-machine.ts';
import { VirtualTime } from './virtual-time.ts';

export const T_MS = 10 * 60_000;
const POLL_MS = 5 * 60_000;
const NAME = 'server-1';
const REF = { name: NAME };
/** What happened may be unknown for as long as a watch is late; not to an action that was begun afterwards. */
const BLINK_MS = 50;
/** More than any schedule needs. */
const MOST_RECONCILES = 3000;
const silent = createLogger({ level: 'silent' });
const metrics = createMetrics();

/** When it matters most that nobody knows yet what just happened. */
export type Moment = 'begun' | 'wiped';

export type Verb = 'on' | 'off' | 'cycle' | 'soft' | 'networkBootOnce';

/** One process of ours. */
interface Plane {
  isAlive: boolean;
  readonly stop: AbortController;
  readonly lifecycle: ReturnType<typeof createLifecycle>;
  kick(): void;
}

/** One server, its lying BMCs, and Sidero over an API in memory, all on virtual time. Notes each order that must not have been given. */
export class World {
  readonly time = new VirtualTime();
  readonly api = new MemoryApi(this.time.now);
  readonly random: Random;
  readonly chassis: SimulatedChassis;
  readonly bmcs: readonly SimulatedBmc[];
  readonly violations: string[] = [];
  /** When power was taken away from the machine. */
  readonly cuts: Date[] = [];
  reconciles = 0;
  apiFails = 0;
  watchLagMs = 0;
  readonly #drivers: readonly PowerDriver[];
  #evidence = createEvidence();
  #plane: Plane | undefined;
  #cache = new Map<string, KubeObject | undefined>();
  #upon: { readonly moment: Moment; readonly run: () => void } | undefined;
  #byOthers = false;
  /** A watch is late, and keeps the order. */
  #heardMs = 0;
  /** Since when something forbids acting, by what it is. */
  readonly #since = new Map<string, { readonly ms: number; readonly order: number }>();
  #order = 0;
  /** Of the action that was begun last. */
  #begun = { since: '', order: 0 };

  constructor(seed: string | number, given: { faults: readonly BmcFaults[]; isOn: boolean }) {
    this.random = seededRandom('world', seed);
    const { api, time, random } = this;
    this.chassis = new SimulatedChassis(
      {
        name: NAME,
        api,
        time,
        random,
        lifecycle: () => this.#plane?.lifecycle,
        seen: (event) => this.#evidence.note(event),
        onWrite: () => this.#judge('a wipe', () => false),
      },
      given,
    );
    this.bmcs = given.faults.map((faults, at) => new SimulatedBmc({ chassis: this.chassis, faults, clock: time, seed: `${seed} ${at}` }));
    this.#drivers = this.bmcs.map((bmc, at) =>
      this.#watched(simulatorDriver({ name: at === 0 ? 'first' : 'second', needsLogin: false, bmcOf: () => bmc })),
    );
    api.listen((kind, name, object) => this.#heard(kind, name, object));
    this.#forgetSessions();
  }

  // A BMC forgets sessions that nobody uses.
  #forgetSessions(): void {
    for (const bmc of this.bmcs) bmc.sessions.clear();
    this.time.after(120_000, () => this.#forgetSessions());
  }

  get server(): Server | undefined {
    return this.api.get(ServerKind, REF);
  }

  get isBound(): boolean {
    return this.api.get(ServerBindingKind, REF) !== undefined;
  }

  start(): void {
    this.#cache = new Map([...this.api.objects.values()].map((object) => [`${object.kind}/${object.metadata.name}`, object]));
    this.#evidence = createEvidence();
    this.#plane = this.#newPlane();
    this.#plane.kick();
  }

  crash(): void {
    if (!this.#plane) return;
    this.#plane.isAlive = false;
    this.#plane.stop.abort();
    this.#plane = undefined;
  }

  /** Somebody else changes the Server. */
  change(edit: (draft: Server) => void): void {
    this.#byOthers = true;
    if (this.server) this.api.change(ServerKind, REF, edit);
    this.#byOthers = false;
  }

  #exhausted(): void {
    this.violations.push(`it goes round in circles: ${JSON.stringify(this.server?.status)}`);
    this.crash();
  }

  #newPlane(): Plane {
    const { api, time } = this;
    const stop = new AbortController();
    const alive = { isAlive: true };
    const resources = memoryClient({
      api,
      isAlive: () => alive.isAlive,
      fate: () => (this.random.chance(this.apiFails) ? this.random.pick(['fails', 'fails afterwards'] as const) : 'fine'),
      cached: (kind, name) => this.#cache.get(`${kind}/${name}`),
    });
    const site = { rebootTimeoutMs: T_MS, powerPollMs: POLL_MS, pxeMode: 'uefi' as const };
    const power = createPower({
      drivers: () => this.#drivers.map((driver) => ofProcess(driver, () => alive.isAlive)),
      resources,
      pxeMode: 'uefi',
      evidence: { seen: (server, since) => this.#evidence.seen(server, since) },
      log: silent,
      metrics,
      clock: time,
      limits: { commandsPerSecond: 1000 },
    });
    const lifecycle = createLifecycle({
      hooks: createHooks(),
      resources,
      site: site as never,
      localCopy: () => ({ ready: true }),
      agentCopy: async () => ({ ready: true }),
      witness: () => undefined,
      log: silent,
      metrics,
      now: time.now,
    });
    const loop = serverLoop({ resources, lifecycle, power, site, log: silent, now: time.now });
    const reconcile = () => {
      if (++this.reconciles > MOST_RECONCILES) this.#exhausted();
      return loop.reconcile(REF, stop.signal);
    };
    const runner = new Runner(reconcile, { time, isAlive: () => alive.isAlive });
    return Object.assign(alive, {
      stop,
      lifecycle,
      kick: () => {
        for (const { kind, refs } of loop.also ?? []) {
          const object = this.#cache.get(`${kind.kind}/${NAME}`);
          if (object) refs(object);
        }
        runner.due();
      },
    });
  }

  /** Runs it when this is so next: just after a power action was begun, or a wipe has ended. */
  upon(moment: Moment | undefined, run: () => void): void {
    this.#upon = moment && { moment, run };
  }

  #cameTo({ status }: Server): void {
    const { moment, run } = this.#upon ?? {};
    const isNow = moment === 'begun' ? status?.powerAction?.state === 'begun' : status?.isClean === true && status.wipe?.state === 'done';
    if (!moment || !run || !isNow) return;
    this.#upon = undefined;
    if (moment === 'wiped') run();
    else this.time.after(this.random.between(0, 3000), run);
  }

  #heard(kind: string, name: string, object: KubeObject | undefined): void {
    if (name !== NAME) return;
    this.#note();
    if (kind === 'Server' && object) this.#cameTo(object as Server);
    const tell = () => {
      const key = `${kind}/${name}`;
      // What was read once is not read older afterwards.
      if (object && versionOf(object) < versionOf(this.#cache.get(key))) return;
      this.#cache.set(key, object);
      this.#plane?.kick();
    };
    // What this process writes it reads at once; what others do comes by watch.
    if (kind !== 'ServerBinding' && !this.#byOthers) return tell();
    const nowMs = this.time.now().getTime();
    this.#heardMs = Math.max(this.#heardMs, nowMs + this.random.between(0, this.watchLagMs));
    this.time.after(this.#heardMs - nowMs, tell);
  }

  #note(): void {
    const { server } = this;
    const { state, since = '' } = server?.status?.powerAction ?? {};
    if (state === 'begun' && since !== this.#begun.since) this.#begun = { since, order: ++this.#order };
    const forbidden = {
      bound: this.isBound,
      unaccepted: server?.spec?.accepted !== true,
      foreign: server?.metadata.annotations?.['metal.sidero.dev/fence']?.startsWith('them') === true,
      deleting: server?.metadata.deletionTimestamp !== undefined || !server,
    };
    for (const [what, isSo] of Object.entries(forbidden)) {
      if (!isSo) this.#since.delete(what);
      else if (!this.#since.has(what)) this.#since.set(what, { ms: this.time.now().getTime(), order: ++this.#order });
    }
  }

  #judge(what: string, excuse: (why: string) => boolean): void {
    for (const [why, { ms, order }] of this.#since) {
      const isUnknown = this.time.now().getTime() - ms <= this.watchLagMs + BLINK_MS && order > this.#begun.order;
      if (isUnknown || excuse(why)) continue;
      this.violations.push(`${what} although the server is ${why}, at ${this.time.now().toISOString()}: ${JSON.stringify(this.server?.status)}`);
    }
  }

  #ordered(verb: Verb): void {
    if ((verb === 'off' || verb === 'cycle') && this.chassis.isOn()) this.cuts.push(this.time.now());
    const purpose = this.server?.status?.powerAction?.purpose;
    const isWish = purpose === 'request' || purpose === 'wanted';
    const isGentle = verb === 'on' || verb === 'networkBootOnce';
    this.#judge(verb, (why) => why === 'bound' && (isWish || (isGentle && purpose === 'allocation')));
  }

  #watched(driver: PowerDriver): PowerDriver {
    return {
      ...driver,
      open: async (server, given) => {
        const session = await driver.open(server, given);
        const watched =
          <A extends unknown[]>(verb: Verb, give: (...values: A) => Promise<void>) =>
          (...values: A) => {
            this.#ordered(verb);
            return give(...values);
          };
        return {
          on: watched('on', (stop: AbortSignal) => session.on(stop)),
          off: watched('off', (stop: AbortSignal) => session.off!(stop)),
          cycle: watched('cycle', (stop: AbortSignal) => session.cycle!(stop)),
          soft: watched('soft', (stop: AbortSignal) => session.soft!(stop)),
          networkBootOnce: watched('networkBootOnce', (mode: NetworkBootMode, stop: AbortSignal) => session.networkBootOnce!(mode, stop)),
          isOn: (stop: AbortSignal) => session.isOn!(stop),
          [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
        };
      },
    };
  }
}

function versionOf(object: KubeObject | undefined): number {
  return Number(object?.metadata.resourceVersion ?? 0);
}

// A process that has ended gives no orders.
function ofProcess(driver: PowerDriver, isAlive: () => boolean): PowerDriver {
  return {
    ...driver,
    open: async (server, given) => {
      const session = await driver.open(server, given);
      return new Proxy(session, {
        get: (target, key, receiver) => (isAlive() ? Reflect.get(target, key, receiver) : () => new Promise(() => undefined)) as unknown,
      });
    },
  };
}

type Reconcile = () => Promise<{ readonly requeueAfterMs: number } | undefined>;

/** Works one key off as the controllers do: never twice at once, again when it came due meanwhile, with a back-off after a throw. */
class Runner {
  readonly #reconcile: Reconcile;
  readonly #given: { time: VirtualTime; isAlive: () => boolean };
  #isRunning = false;
  #isDue = false;
  #failures = 0;
  #timer = 0;

  constructor(reconcile: Reconcile, given: { time: VirtualTime; isAlive: () => boolean }) {
    this.#reconcile = reconcile;
    this.#given = given;
  }

  due(): void {
    this.#isDue = true;
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#isDue && this.#given.isAlive()) {
      this.#isDue = false;
      this.#timer++;
      await Promise.resolve();
      await this.#once();
    }
    this.#isRunning = false;
  }

  async #once(): Promise<void> {
    try {
      const again = await this.#reconcile();
      this.#failures = 0;
      if (again) this.#later(again.requeueAfterMs);
    } catch {
      this.#later(Math.min(1_000_000, 5 * 2 ** this.#failures++));
    }
  }

  #later(ms: number): void {
    const timer = ++this.#timer;
    this.#given.time.after(Math.max(1, ms), () => {
      if (timer === this.#timer && this.#given.isAlive()) this.due();
    });
  }
}

/** An accepted server, ours, dirty and free, unless told otherwise. */
export function aServer(accepted: boolean): Server {
  return {
    apiVersion: ServerKind.apiVersion,
    kind: 'Server',
    metadata: { name: NAME, uid: 'uid-1', finalizers: ['storage.finalizers.server.k8s.io'] },
    spec: { accepted },
  } as Server;
}

export function aBinding(): KubeObject {
  return {
    apiVersion: ServerBindingKind.apiVersion,
    kind: 'ServerBinding',
    metadata: { name: NAME },
    spec: { metalMachineRef: { name: 'm', namespace: 'd' } },
  } as KubeObject;
}

export { REF };
