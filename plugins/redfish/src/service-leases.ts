import { createHash } from 'node:crypto';
import type { Call } from './exchange.ts';
import { RedfishService, type ServiceOptions } from './service.ts';

/** A service as long as it is needed. */
export interface ServiceLease extends AsyncDisposable {
  readonly service: RedfishService;
}

/** The services that are in use: Servers behind one service, under one login and one proof, share its connections and its session. */
export class ServiceLeases {
  readonly #inUse = new Map<string, { readonly service: RedfishService; users: number }>();

  /** The last lease that ends logs out. */
  lease(options: ServiceOptions, call: Pick<Call, 'failures'>): ServiceLease {
    const key = keyOf(options);
    const known = this.#inUse.get(key);
    // After a change of its password a service is logged in with another one than it was asked for: that would prove nothing.
    const entry = known?.service.isUnder(options.login) ? known : { service: new RedfishService(options), users: 0 };
    this.#inUse.set(key, entry);
    entry.users++;
    let isOver = false;
    return {
      service: entry.service,
      [Symbol.asyncDispose]: async () => {
        if (isOver) return;
        isOver = true;
        if (--entry.users > 0) return;
        if (this.#inUse.get(key) === entry) this.#inUse.delete(key);
        await entry.service.close(call);
      },
    };
  }
}

function keyOf({ origin, login, trust, auth }: ServiceOptions): string {
  const pass = createHash('sha256').update(login.pass).digest('hex');
  return JSON.stringify([origin, login.user, pass, trust, auth]);
}
