import type { Logger, PowerSession, Server } from '@sidero/core';
import { changePassword } from './accounts.ts';
import { type NetworkBoot, overrideFor, setOverride } from './boot-override.ts';
import type { ServiceClient } from './client.ts';
import { ComputerSystem } from './documents.ts';
import { probe } from './probe.ts';
import { isOnIn, reset } from './reset.ts';
import type { ServiceLease } from './service-leases.ts';
import type { ChosenSystem } from './system-choice.ts';

/** One system of a service, ready to take commands. */
export interface OpenSystem {
  readonly server: Server;
  readonly client: ServiceClient;
  readonly system: ChosenSystem;
  readonly lease: ServiceLease;
  /** How the service proves who it is, for people. */
  readonly trust: string;
  /** Whether the service lets accounts be changed. */
  readonly hasAccounts: boolean;
  readonly networkBoot: NetworkBoot;
  readonly lookMs: number;
  readonly log: Pick<Logger, 'info'>;
}

/** The verbs of a power driver over one system. */
export function powerSessionOver({ server, client, system, lease, log, ...site }: OpenSystem): PowerSession {
  return {
    on: (signal) => reset(client, { system: system.path, verb: 'on' }, signal),
    off: (signal) => reset(client, { system: system.path, verb: 'off' }, signal),
    cycle: (signal) => reset(client, { system: system.path, verb: 'cycle' }, signal),
    soft: (signal) => reset(client, { system: system.path, verb: 'soft' }, signal),
    async isOn(signal) {
      const { document } = await client.get(system.path, ComputerSystem, signal);
      const isOn = isOnIn(document);
      if (isOn === undefined)
        throw client.failures.fault(`PowerState is ${client.service.clause(document.PowerState ?? 'missing')}: neither on nor off`);
      return isOn;
    },
    async networkBootOnce(mode, signal) {
      const wish = overrideFor(mode, site.networkBoot);
      const kept = await setOverride(client, { system: system.path, wish, lookMs: site.lookMs }, signal);
      if (kept.length > 0) {
        const text = client.service.clause(kept.join(', '));
        log.info({ server: server.metadata.name, driver: 'redfish' }, `the boot override is not as ordered in all: ${text}`);
      }
    },
    probe: (signal) => probe(client, { system, trust: site.trust }, signal),
    ...(site.hasAccounts && { changePassword: (pass, signal) => changePassword(client, pass, signal) }),
    [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
  };
}
