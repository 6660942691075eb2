import type { PowerDriver, PowerSession, Server } from '@sidero/core';
import { type Call, openPowerApi, type PowerApi } from './power-api.ts';
import { type FailureOdds, rollOf, SIMULATED } from './simulated-failure.ts';

/** Longest wait for an answer, and, for tests, how often a call shall fail. */
export interface ManagementApiOptions extends FailureOdds {
  readonly timeoutMs: number;
}

const DRIVER = 'management-api';

/** Power over the HTTP API of virtual machines: `POST /poweron`, `/poweroff`, `/reboot`, `/pxeboot`, and `GET /status`. */
export function managementApiDriver(options: ManagementApiOptions): PowerDriver {
  return {
    name: DRIVER,
    needsLogin: false,
    claims: (server) => endpointOf(server) !== '',
    deviceOf: endpointOf,
    async open(server) {
      const about = { server: server.metadata.name, driver: DRIVER, device: endpointOf(server) };
      return sessionOver(openPowerApi(about, options.timeoutMs), options);
    },
  };
}

const endpointOf = (server: Server): string => server.spec?.managementApi?.endpoint ?? '';

function sessionOver(api: PowerApi, odds: FailureOdds): PowerSession {
  const order = async (call: Call, signal: AbortSignal) => {
    const roll = rollOf(odds);
    if (roll === 'explicit') throw api.fault(call, SIMULATED);
    if (roll === 'none') await api.ask(call, signal);
  };
  return {
    on: (signal) => order('on', signal),
    off: (signal) => order('off', signal),
    cycle: (signal) => order('cycle', signal),
    // The API knows no firmware modes: the machine boots as it is made.
    networkBootOnce: (_mode, signal) => order('networkBootOnce', signal),
    async isOn(signal) {
      const call = 'status';
      const roll = rollOf(odds);
      if (roll === 'explicit') throw api.fault(call, SIMULATED);
      if (roll === 'silent') return new Date().getSeconds() % 2 === 0;
      const isOn = poweredOn(await api.ask(call, signal));
      if (isOn === undefined) throw api.fault(call, 'the answer has no "PoweredOn" that is true or false');
      return isOn;
    },
    [Symbol.asyncDispose]: () => api.close(),
  };
}

/**
 * `PoweredOn` of a status, the key in any case, as Go reads it; undefined when it is not there. That is not "off": it would start a machine
 * that runs.
 */
export function poweredOn(body: string): boolean | undefined {
  try {
    const status: unknown = JSON.parse(body);
    if (typeof status !== 'object' || status === null) return undefined;
    const value: unknown = Object.entries(status).findLast(([key]) => key.toLowerCase() === 'poweredon')?.[1];
    return typeof value === 'boolean' ? value : undefined;
  } catch {
    return undefined;
  }
}
