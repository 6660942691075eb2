import { failure } from '../errors.ts';
import { createLogger, type Logger } from '../log.ts';
import { createMetrics, type Metrics } from '../metrics.ts';
import type { BmcLogin, PowerDriver, PowerSession } from '../registries.ts';
import type { ResourceClient } from '../resources/client.ts';
import type { Kind, KubeObject, Ref, Secret, Server } from '../resources/kinds.ts';
import type { Clock } from './clock.ts';
import { createEvidence } from './evidence.ts';
import { createPower, type PowerLimits, type RunningPower } from './index.ts';

/** Time that goes on only when everybody waits for it. */
export class VirtualClock implements Clock {
  #nowMs = Date.parse('2026-01-01T00:00:00Z');
  readonly #sleepers = new Set<{ readonly atMs: number; wake(): void }>();

  now = (): Date => new Date(this.#nowMs);

  pause = (ms: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { atMs: this.#nowMs + ms, wake: resolve };
    const abort = (): void => {
      this.#sleepers.delete(sleeper);
      reject(signal.reason as Error);
    };
    this.#sleepers.add(sleeper);
    signal.addEventListener('abort', abort, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', abort));
  };

  /** Moves time from sleeper to sleeper until `work` has settled. */
  async until<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const note = (): void => void (isDone = true);
    work.then(note, note);
    await idle();
    while (!isDone) {
      this.#wakeNext();
      await idle();
    }
    return work;
  }

  /** Lets that much time pass. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await idle();
    while (this.#wakeNext(endMs)) await idle();
    this.#nowMs = endMs;
  }

  // All who sleep until the same moment wake together.
  #wakeNext(beforeMs = Number.POSITIVE_INFINITY): boolean {
    let atMs = Number.POSITIVE_INFINITY;
    for (const sleeper of this.#sleepers) atMs = Math.min(atMs, sleeper.atMs);
    if (atMs === Number.POSITIVE_INFINITY || atMs > beforeMs) return false;
    this.#nowMs = Math.max(this.#nowMs, atMs);
    for (const sleeper of this.#sleepers) {
      if (sleeper.atMs > atMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
    return true;
  }
}

// Lets everything run that waits for no time: promises, and what they set off.
async function idle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((settle) => void setImmediate(settle));
}

type Verb = Exclude<keyof PowerSession, symbol> | 'open' | 'close';

/** A device in memory, and the driver that talks to it. Change it as the test goes on. */
export class ScriptedDevice {
  isOn = false;
  pass = 'right';
  networkBoot: string | undefined;
  /** How long after an order the state changes. */
  effectMs = 0;
  /** How long an answer takes. */
  answerMs = 0;
  /** What the device does instead of what it is told. */
  misbehaves: (verb: Verb) => 'silent' | 'busy' | 'fault' | 'unsupported' | 'hang' | 'lie' | Error | undefined = () => undefined;
  /** Verbs that sessions lack. */
  lacks: readonly Verb[] = [];
  readonly told: { readonly verb: Verb; readonly atMs: number }[] = [];
  /** Most commands that were under way at once. */
  mostAtOnce = 0;
  openSessions = 0;
  readonly driver: PowerDriver;
  readonly #clock: VirtualClock;
  #atOnce = 0;

  constructor(clock: VirtualClock, overrides: Partial<PowerDriver> = {}) {
    this.#clock = clock;
    this.driver = {
      name: 'scripted',
      claims: () => true,
      deviceOf: () => '10.0.0.7:623',
      open: (server, { login, signal }) => this.#open(server, { login, signal }),
      ...overrides,
    };
  }

  /** The verbs that came, without logging in and out. */
  get verbs(): readonly Verb[] {
    return this.told.map(({ verb }) => verb).filter((verb) => verb !== 'open' && verb !== 'close' && verb !== 'isOn');
  }

  async #open(server: Server, { login, signal }: { login: BmcLogin | undefined; signal: AbortSignal }): Promise<PowerSession> {
    await this.#tell('open', signal);
    if (this.driver.needsLogin !== false && login?.pass !== this.pass) throw this.#failure('SIDERO_BMC_AUTH', server);
    this.openSessions++;
    const all: PowerSession = {
      on: async (given) => this.#set('on', { isOn: true, signal: given }),
      off: async (given) => this.#set('off', { isOn: false, signal: given }),
      cycle: async (given) => {
        if (!this.isOn) throw this.#failure('SIDERO_BMC_UNSUPPORTED', server);
        await this.#tell('cycle', given);
      },
      soft: async (given) => this.#set('soft', { isOn: false, signal: given }),
      isOn: async (given) => ((await this.#tell('isOn', given)) === 'lie' ? !this.isOn : this.isOn),
      networkBootOnce: async (mode, given) => {
        if ((await this.#tell('networkBootOnce', given)) !== 'lie') this.networkBoot = mode;
      },
      changePassword: async (pass, given) => {
        if ((await this.#tell('changePassword', given)) !== 'lie') this.pass = pass;
      },
      [Symbol.asyncDispose]: async () => {
        this.told.push({ verb: 'close', atMs: this.#clock.now().getTime() });
        if (this.misbehaves('close') === 'hang') await new Promise(() => undefined);
        this.openSessions--;
      },
    };
    return Object.fromEntries(
      Reflect.ownKeys(all).flatMap((key) => (this.lacks.includes(key as Verb) ? [] : [[key, Reflect.get(all, key)]])),
    ) as never;
  }

  async #set(verb: Verb, { isOn, signal }: { isOn: boolean; signal: AbortSignal }): Promise<void> {
    if ((await this.#tell(verb, signal)) === 'lie') return;
    if (this.effectMs === 0) this.isOn = isOn;
    else void this.#clock.pause(this.effectMs, new AbortController().signal).then(() => (this.isOn = isOn));
  }

  async #tell(verb: Verb, signal: AbortSignal): Promise<'lie' | undefined> {
    this.told.push({ verb, atMs: this.#clock.now().getTime() });
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    try {
      if (this.answerMs > 0) await this.#clock.pause(this.answerMs, signal);
      const how = this.misbehaves(verb);
      if (how instanceof Error) throw how;
      if (how === 'hang') await new Promise(() => undefined);
      if (how === 'silent') throw this.#failure('SIDERO_BMC_UNREACHABLE');
      if (how === 'busy') throw this.#failure('SIDERO_BMC_BUSY');
      if (how === 'fault') throw this.#failure('SIDERO_BMC_FAULT');
      if (how === 'unsupported') throw this.#failure('SIDERO_BMC_UNSUPPORTED');
      return how === 'lie' ? 'lie' : undefined;
    } finally {
      this.#atOnce--;
    }
  }

  #failure(code: `SIDERO_BMC_${'AUTH' | 'BUSY' | 'FAULT' | 'UNREACHABLE' | 'UNSUPPORTED'}`, server?: Server): Error {
    return failure(code, { server: server?.metadata.name ?? 'server-1', driver: this.driver.name, device: '10.0.0.7:623', problem: 'scripted' });
  }
}

/** A server with a BMC and a literal login. */
export function aManagedServer(name = 'server-1', bmc: object = { endpoint: '10.0.0.7', user: 'admin', pass: 'right' }): Server {
  return { apiVersion: 'metal.sidero.dev/v1alpha2', kind: 'Server', metadata: { name }, spec: { accepted: true, bmc } } as Server;
}

/** A Secret as the API gives it. */
export function aSecret(name: string, values: Readonly<Record<string, string>>): Secret {
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'default' }, data };
}

interface TestPowerOptions {
  readonly resources?: ResourceClient;
  readonly limits?: PowerLimits;
  readonly log?: Logger;
}

/** Power over scripted devices, on virtual time. */
export function testPower(devices: readonly ScriptedDevice[], given: TestPowerOptions & { clock: VirtualClock }) {
  const metrics: Metrics = createMetrics();
  const power: RunningPower = createPower({
    drivers: () => devices.map(({ driver }) => driver),
    resources: given.resources ?? noResources,
    pxeMode: 'uefi',
    evidence: createEvidence(),
    log: given.log ?? createLogger({ level: 'silent' }),
    metrics,
    clock: given.clock,
    ...(given.limits && { limits: given.limits }),
  });
  return { power, metrics };
}

/** Power over one scripted device. */
export function aRig(given: TestPowerOptions & { driver?: Partial<PowerDriver> } = {}) {
  const clock = new VirtualClock();
  const device = new ScriptedDevice(clock, given.driver);
  return { clock, device, ...testPower([device], { ...given, clock }) };
}

// Enough for servers whose login stands in them.
const noResources = {
  get: <T extends KubeObject>(_kind: Kind<T>, _ref: Ref) => Promise.resolve(undefined),
  list: () => Promise.resolve([]),
} as unknown as ResourceClient;
