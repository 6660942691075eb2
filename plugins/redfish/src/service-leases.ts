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
    const entry = this.#inUse.get(key) ?? { service: new RedfishService(options), users: 0 };
    this.#inUse.set(key, entry);
    entry.users++;
    let isOver = false;
    return {
      service: entry.service,
      [Symbol.asyncDispose]: async () => {
        if (isOver) return;
        isOver = true;
        if (--entry.users > 0) return;
        this.#inUse.delete(key);
        await entry.service.close(call);
      },
    };
  }
}

function keyOf({ origin, login, trust, auth }: ServiceOptions): string {
  const pass = createHash('sha256').update(login.pass).digest('hex');
  return JSON.stringify([origin, login.user, pass, trust, auth]);
}
