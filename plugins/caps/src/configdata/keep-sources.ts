import { setTimeout as delay } from 'node:timers/promises';
import type { Sidero } from '@sidero/core';
import type { ClusterApi } from '../cluster-api-version.ts';
import { MetalMachineKind } from '../kinds.ts';

/** How often it is looked whether Cluster API has come, or has another version. */
const LOOK_MS = 10_000;

/** Watches what configurations are made from on every replica, not on the leader alone: no request of a machine then asks the API for it. */
export function keepSources({ services, resources }: Pick<Sidero, 'services' | 'resources'>, clusterApi: ClusterApi): void {
  services.add({
    name: 'config-sources',
    where: 'every',
    async run(signal, ready) {
      void resources.watch(MetalMachineKind, () => undefined, signal);
      ready();
      const watched = new Set<string>();
      while (!signal.aborted) {
        // While the API is away there is nothing to watch.
        const version = await clusterApi.version().catch(() => undefined);
        if (version !== undefined && !watched.has(version)) {
          watched.add(version);
          void resources.watch((await clusterApi.kinds()).machine, () => undefined, signal);
        }
        await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
      }
    },
  });
}
