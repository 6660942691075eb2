import {
  coreCustomResources,
  createLogger,
  createMetrics,
  createResourceClient,
  failure,
  type PowerDriver,
  type ResourceClient,
  SecretKind,
  type Server,
  ServerKind,
} from '@sidero/core';
import { startApiServer } from '@sidero/plugin-apiserver';
import { ipmi } from '@sidero/plugin-ipmi';
import { aServer, testSidero } from '@sidero/testing';
import { MemoryChassis, SimulatedBmc, simulatorDriver, startIpmiBmc } from '@sidero/testing/bmc';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createEvidence } from '../../core/src/power/evidence.ts';
import { createPower, type RunningPower } from '../../core/src/power/index.ts';

// A password that is on the device and not in the Secret is lost: whatever breaks on the way, one of the two that are in the Secret must hold.

const SECRET = { namespace: 'default', name: 'fixture-bmc' };
const ref = (key: string) => ({ secretKeyRef: { ...SECRET, key } });
const bmc = { endpoint: '10.0.0.7', userFrom: ref('user'), passFrom: ref('pass') };
const { signal } = new AbortController();

let api: Awaited<ReturnType<typeof startApiServer>>;
let resources: ReturnType<typeof createResourceClient>;
let device: SimulatedBmc;
beforeAll(async () => {
  const log = createLogger({ level: 'silent' });
  api = await startApiServer({ customResources: coreCustomResources(), log });
  resources = createResourceClient({ kubeConfig: () => api.kubeConfig, log, metrics: createMetrics(), component: 'test' });
});
afterAll(async () => {
  await resources?.close();
  await api?.close();
});
beforeEach(async () => {
  device = new SimulatedBmc({ chassis: new MemoryChassis() });
  await resources.remove(SecretKind, SECRET);
  for (const { metadata } of await resources.list(ServerKind)) await resources.remove(ServerKind, metadata);
  const data = { user: Buffer.from('admin').toString('base64'), pass: Buffer.from('secret\n').toString('base64') };
  await resources.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: SECRET, data });
});

function powerOver(drivers: readonly PowerDriver[], client: ResourceClient = resources): RunningPower {
  const log = createLogger({ level: 'silent' });
  return createPower({ drivers: () => drivers, resources: client, pxeMode: 'uefi', evidence: createEvidence(), log, metrics: createMetrics() });
}

const simulator = (): PowerDriver => simulatorDriver({ bmcOf: () => device, timeoutMs: 20 });

async function secretValues(): Promise<Record<string, string>> {
  const { data = {} } = (await resources.get(SecretKind, SECRET, { live: true }))!;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString().trimEnd()]));
}

/** Does what it stands for until call number `at`, which fails, before or after it was done; nothing works from then on, as in a dead process. */
class Crash {
  calls = 0;
  readonly #at: number;
  readonly #isDone: boolean;

  constructor(at: number, { isDone }: { isDone: boolean }) {
    this.#at = at;
    this.#isDone = isDone;
  }

  over<T extends object>(target: T, names: readonly string[]): T {
    return new Proxy(target, {
      get: (object, name) => {
        const value = Reflect.get(object, name) as unknown;
        if (typeof value !== 'function') return value;
        return names.includes(String(name)) ? (...given: unknown[]) => this.#call(() => Reflect.apply(value, object, given)) : value.bind(object);
      },
    });
  }

  async #call(work: () => unknown): Promise<unknown> {
    const number = ++this.calls;
    const isLast = number === this.#at;
    if (number > this.#at || (isLast && !this.#isDone)) throw new Error('crash');
    const result = await work();
    if (isLast) throw new Error('crash');
    return result;
  }

  driver(driver: PowerDriver): PowerDriver {
    return {
      ...driver,
      open: async (server, given) => this.over(await driver.open(server, given), ['isOn', 'changePassword']),
    };
  }
}

describe('a new password for a BMC', () => {
  test('is on the device and in the Secret, and the old one is gone from both', async () => {
    const text = await powerOver([simulator()]).rotate(aServer({ spec: { bmc } }), signal);
    const { pass, ...others } = await secretValues();
    expect(others).toEqual({ user: 'admin' });
    expect(pass).toMatch(/^[\w.-]{16}$/);
    expect(device.account('admin')?.password).toBe(pass);
    expect(text).toBe('user admin has a new password, kept in Secret default/fixture-bmc');
    expect(device.sessions.size).toBe(0);
  });

  test('is never lost, whatever call of API or device is the last of a process; the next attempt finishes', async () => {
    const server = aServer({ spec: { bmc } });
    let crashes = 0;
    for (const isDone of [false, true]) {
      for (let at = 1; ; at++) {
        const crash = new Crash(at, { isDone });
        const power = powerOver([crash.driver(simulator())], crash.over(resources, ['get', 'change', 'list']));
        await power.rotate(server, signal).catch(() => undefined);
        const values = await secretValues();
        expect([values['pass'], values['pass.next']]).toContain(device.account('admin')?.password);
        if (crash.calls < at) break;
        crashes++;
        await powerOver([simulator()]).rotate(server, signal);
        expect(await secretValues()).toEqual({ user: 'admin', pass: device.account('admin')?.password });
      }
    }
    expect(crashes).toBeGreaterThan(8);
  }, 60_000);

  test('that the device has taken without saying so is kept', async () => {
    const driver = simulator();
    const mute: PowerDriver = {
      ...driver,
      open: async (server, given) => {
        const session = await driver.open(server, given);
        const { changePassword } = session;
        session.changePassword = async (pass, stop) => {
          await changePassword!.call(session, pass, stop);
          device.sessions.clear();
          await session.isOn!(stop);
        };
        return session;
      },
    };
    await powerOver([mute]).rotate(aServer({ spec: { bmc } }), signal);
    expect((await secretValues())['pass']).toBe(device.account('admin')?.password);
  });

  test('is given by the next driver when the first cannot', async () => {
    const first = { ...simulator(), name: 'first', open: async () => ({ on: async () => undefined, [Symbol.asyncDispose]: async () => undefined }) };
    await powerOver([first, simulator()]).rotate(aServer({ spec: { bmc } }), signal);
    expect((await secretValues())['pass']).toBe(device.account('admin')?.password);
    expect(device.account('admin')?.password).not.toBe('secret');
  });

  test('is given by the next driver when the first gets no answer', async () => {
    const silent = () => Promise.reject(failure('SIDERO_BMC_UNREACHABLE', { server: '', driver: 'first', device: '', problem: 'silent' }));
    const first = { ...simulator(), name: 'first', open: silent };
    await powerOver([first, simulator()]).rotate(aServer({ spec: { bmc } }), signal);
    expect((await secretValues())['pass']).toBe(device.account('admin')?.password);
    expect(device.account('admin')?.password).not.toBe('secret');
  });

  test('leaves nothing behind when no driver can', async () => {
    const only = { ...simulator(), open: async () => ({ on: async () => undefined, [Symbol.asyncDispose]: async () => undefined }) };
    await expect(powerOver([only]).rotate(aServer({ spec: { bmc } }), signal)).rejects.toMatchObject({ code: 'SIDERO_BMC_UNSUPPORTED' });
    expect(await secretValues()).toEqual({ user: 'admin', pass: 'secret' });
  });
});

describe('is refused', () => {
  async function refusal(server: Server): Promise<unknown> {
    const thrown: unknown = await powerOver([simulator()])
      .rotate(server, signal)
      .catch((problem: unknown) => problem);
    expect(device.account('admin')?.password).toBe('secret');
    expect(await secretValues()).toEqual({ user: 'admin', pass: 'secret' });
    return thrown;
  }

  test('for a password that stands in the Server', async () => {
    expect(await refusal(aServer({ spec: { bmc: { ...bmc, pass: 'secret' } } }))).toMatchObject({
      code: 'SIDERO_BMC_ROTATE_REFUSED',
      next: expect.stringContaining('put it into a Secret') as string,
    });
  });

  test('for a Server that is not accepted', async () => {
    expect(await refusal(aServer({ spec: { bmc, accepted: false } }))).toMatchObject({ code: 'SIDERO_BMC_ROTATE_REFUSED' });
  });

  test('for a Secret that other Servers log in with', async () => {
    const other = aServer({
      spec: { bmc: { ...bmc, endpoint: '10.0.0.8' }, hardware: { system: { uuid: '11111111-0000-4000-8000-000000000000' } } },
    });
    await resources.create(ServerKind, other);
    expect(await refusal(aServer({ spec: { bmc } }))).toMatchObject({
      message: expect.stringContaining(`Server ${other.metadata.name} uses the same key of Secret fixture-bmc`) as string,
    });
  });

  test.each([
    ['under another protocol', { endpoint: 'https://10.0.0.7', user: 'admin', pass: 'secret' }],
    ['with a login that cannot be read', { endpoint: '10.0.0.7', user: 'x', passFrom: { secretKeyRef: { ...SECRET, name: 'gone', key: 'pass' } } }],
  ])('for a BMC that another Server logs in to as the same user, %s', async (_how, theirs) => {
    const other = aServer({ spec: { bmc: theirs, hardware: { system: { uuid: '11111111-0000-4000-8000-000000000000' } } } });
    await resources.create(ServerKind, other);
    expect(await refusal(aServer({ spec: { bmc } }))).toMatchObject({
      message: expect.stringContaining(`Server ${other.metadata.name} logs in to the same BMC as the same user`) as string,
    });
  });

  test('but not for a BMC that another Server has a user of its own on', async () => {
    const other = aServer({
      spec: { bmc: { endpoint: '10.0.0.7:443', user: 'oper', pass: 'x' }, hardware: { system: { uuid: '11111111-0000-4000-8000-000000000000' } } },
    });
    await resources.create(ServerKind, other);
    await powerOver([simulator()]).rotate(aServer({ spec: { bmc } }), signal);
    expect(device.account('admin')?.password).not.toBe('secret');
  });

  test('for a Server that nobody manages', async () => {
    expect(await refusal(aServer())).toMatchObject({ code: 'SIDERO_POWER_UNMANAGED' });
  });
});

test('over IPMI, a device takes a new password, and power works on with it', async () => {
  await using wire = await startIpmiBmc({ chassis: new MemoryChassis() });
  const theirs = { ...bmc, endpoint: wire.address, port: wire.port };
  const server = aServer({ spec: { accepted: true, bmc: theirs }, status: undefined });
  const secret = await resources.get(SecretKind, SECRET, { live: true });
  const { resourceVersion: _version, uid: _uid, ...metadata } = secret!.metadata;
  await using sidero = await testSidero({ objects: [{ ...secret!, metadata }], plugins: [ipmi()] });
  const { power } = sidero.running.kernel;
  expect(await power.read(server, signal)).toMatchObject({ state: 'off', driver: 'ipmi' });
  await power.rotate(server, signal);
  const { data } = (await sidero.resources.get(SecretKind, SECRET, { live: true }))!;
  expect(Object.keys(data!)).toEqual(['user', 'pass']);
  expect(wire.bmc.account('admin')?.password).toBe(Buffer.from(data!['pass']!, 'base64').toString());
  expect(await power.act(server, { action: 'network-boot' }, signal)).toMatchObject({ driver: 'ipmi', failed: [] });
  expect(wire.bmc.control.isOn()).toBe(true);
}, 60_000);
