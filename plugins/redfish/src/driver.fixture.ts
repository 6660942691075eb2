import type { PowerSession, Server } from '@sidero/core';
import { RedfishDriver, type RedfishOptions } from './driver.ts';
import { type FakeService, LOGIN } from './fake-service.fixture.ts';

export const UUID = '4c4c4544-0039-3010-8047-c4c04f4e4d32';

type Bmc = NonNullable<NonNullable<Server['spec']>['bmc']>;

/** A Server whose BMC is there. */
export function aServerWith(bmc: Partial<Bmc>, { annotations = {}, name = UUID, serial = 'SN-1' } = {}): Server {
  return {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata: { name, annotations },
    spec: { accepted: true, bmc: { endpoint: '127.0.0.1', interface: 'redfish', ...bmc }, hardware: { system: { serialNumber: serial } } },
  };
}

/** The driver, quick and plain unless told otherwise. */
export function aDriver(options: Partial<RedfishOptions> = {}): RedfishDriver {
  return new RedfishDriver({
    prefer: false,
    auth: 'auto',
    networkBoot: 'pxe',
    caSecret: undefined,
    allowPlainHttp: true,
    timeoutMs: 5000,
    patienceMs: 10_000,
    taskMs: 20_000,
    lookMs: 1,
    absenceMs: 60_000,
    resources: { get: async () => undefined },
    log: { info: () => {} },
    ...options,
  });
}

export const signal: AbortSignal = new AbortController().signal;

/** A session with the first system of a service. */
export async function openOn(service: FakeService, options: Partial<RedfishOptions> = {}): Promise<Required<PowerSession>> {
  const session = await aDriver(options).open(aServerWith({ endpoint: service.url }), { login: LOGIN, signal });
  return session as Required<PowerSession>;
}
