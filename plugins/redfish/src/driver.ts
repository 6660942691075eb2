import { hasCode, type Logger, messageOf, type PowerDriver, type PowerSession, type ResourceClient, type Server, SideroError } from '@sidero/core';
import { failuresAbout } from './bmc-failures.ts';
import type { NetworkBoot } from './boot-override.ts';
import { type Pace, ServiceClient } from './client.ts';
import type { Call } from './exchange.ts';
import { powerSessionOver } from './power-session.ts';
import type { Auth, RedfishService } from './service.ts';
import { ServiceLeases } from './service-leases.ts';
import { placeOf, type ServicePlace } from './service-place.ts';
import { chooseSystem } from './system-choice.ts';
import { type CaSecret, type Trust, trustOf } from './trust.ts';

/** What the driver is made with. Times are in ms. */
export interface RedfishOptions extends Pace {
  /** Also for Servers whose spec.bmc names no interface. */
  readonly prefer: boolean;
  readonly auth: Auth;
  readonly networkBoot: NetworkBoot;
  readonly caSecret: CaSecret | undefined;
  readonly allowPlainHttp: boolean;
  readonly timeoutMs: number;
  readonly patienceMs: number;
  /** How long a BMC that had no Redfish is not asked again, where it was a guess that it might. */
  readonly absenceMs: number;
  readonly resources: Pick<ResourceClient, 'get'>;
  readonly log: Pick<Logger, 'info'>;
}

/** Value of `spec.bmc.interface`. */
const INTERFACE = 'redfish';

type Given = Parameters<PowerDriver['open']>[1];

/** Power over Redfish: for Servers whose spec.bmc asks for it, and with `prefer` for those that ask for nothing and whose BMC has it. */
export class RedfishDriver implements PowerDriver {
  readonly name = 'redfish';
  readonly interfaces = [INTERFACE];
  // By UUID or serial number.
  readonly tellsMachinesApart = true;
  readonly #options: RedfishOptions;
  readonly #leases = new ServiceLeases();
  /** Until when a device counts as one without Redfish. */
  readonly #absentUntil = new Map<string, number>();

  constructor(options: RedfishOptions) {
    this.#options = options;
  }

  claims(server: Server): boolean {
    return isAskedFor(server) || (this.#options.prefer && server.spec?.bmc !== undefined && !server.spec.bmc.interface);
  }

  deviceOf(server: Server): string {
    const place = placeOfServer(server);
    return 'problem' in place ? `BMC of ${server.metadata.name}` : place.device;
  }

  async open(server: Server, { login, signal }: Given): Promise<PowerSession> {
    const call = { failures: failuresAbout({ server: server.metadata.name, driver: this.name, device: this.deviceOf(server) }), signal };
    const place = this.#placeOf(server, call);
    if (!login) throw call.failures.auth('the Server names no login');
    const trust = await this.#trustOf(server, { place, call });
    const lease = this.#leases.lease({ ...this.#options, origin: place.origin, login, trust }, call);
    try {
      const root = await this.#rootOf(lease.service, { server, place, call });
      const client = new ServiceClient(lease.service, call.failures, this.#options);
      const system = await chooseSystem(client, server, signal);
      const { networkBoot, lookMs, log } = this.#options;
      const hasAccounts = root.AccountService !== undefined;
      return powerSessionOver({ server, client, system, lease, trust: trust.told, hasAccounts, networkBoot, lookMs, log });
    } catch (thrown) {
      await lease[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  #placeOf(server: Server, { failures }: Call): ServicePlace {
    const place = placeOfServer(server);
    if ('problem' in place) throw failures.unreachable(place.problem);
    if (place.origin.startsWith('http:') && !this.#options.allowPlainHttp) {
      throw failures.unsupported('plain HTTP shows the login to everybody on the way; the option allowPlainHttp of redfish(…) allows it');
    }
    const absentUntil = this.#absentUntil.get(place.device) ?? 0;
    if (!isAskedFor(server) && absentUntil > Date.now()) throw failures.unsupported('it had no Redfish when it was last asked');
    return place;
  }

  async #trustOf(server: Server, { place, call }: { readonly place: ServicePlace; readonly call: Call }): Promise<Trust> {
    if (place.origin.startsWith('http:')) return { by: 'ca', ca: undefined, told: 'none, plain HTTP' };
    const trust = await trustOf(server, this.#options);
    if ('problem' in trust) throw call.failures.fault(trust.problem);
    return trust;
  }

  /** Reads the entry of the service. Where Redfish was only a guess, whatever keeps us from it means that there is none for a while. */
  async #rootOf(service: RedfishService, { server, place, call }: { readonly server: Server; readonly place: ServicePlace; readonly call: Call }) {
    try {
      const root = await service.root(call);
      this.#absentUntil.delete(place.device);
      return root;
    } catch (thrown) {
      call.signal.throwIfAborted();
      if (isAskedFor(server) || hasCode(thrown, 'SIDERO_BMC_BUSY') || hasCode(thrown, 'SIDERO_BMC_AUTH')) throw thrown;
      this.#absentUntil.set(place.device, Date.now() + this.#options.absenceMs);
      const reason = thrown instanceof SideroError ? String(thrown.details['problem']) : messageOf(thrown);
      throw call.failures.unsupported(`it was asked for Redfish because it may have it: ${reason}`, thrown);
    }
  }
}

const isAskedFor = (server: Server): boolean => server.spec?.bmc?.interface === INTERFACE;

function placeOfServer(server: Server): ReturnType<typeof placeOf> {
  const { endpoint = '', port = 0 } = server.spec?.bmc ?? {};
  // The port of a BMC that was not said to speak Redfish is that of IPMI.
  return placeOf({ endpoint, port: isAskedFor(server) ? port : 0 });
}
