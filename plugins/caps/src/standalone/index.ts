import type { Sidero } from '@sidero/core';
import type { WorkloadClusters } from '../controllers/workload-clusters.ts';
import { failure } from '../errors.ts';
import { standaloneClusters } from './clusters.ts';
import { standaloneMachines } from './machines.ts';
import { markForMove, standaloneCustomResources, whyRefused } from './own-kinds.ts';

/** Does the part of Cluster API's work that a MetalMachine needs, where there is no Cluster API. */
export function addStandalone({ controllers, customResources, resources, services }: Sidero, workloads: WorkloadClusters): void {
  for (const resource of standaloneCustomResources()) customResources.add(resource);
  // The loops may be quicker than the service that ends the process.
  let isOurs: boolean | undefined;
  const isAllowed = async (): Promise<boolean> => (isOurs ??= (await whyRefused(resources)) === undefined);
  controllers.add(standaloneClusters({ resources, isAllowed }));
  controllers.add(standaloneMachines({ resources, isAllowed, workloads }));
  services.add({
    name: 'standalone',
    where: 'every',
    async run(signal, ready) {
      const why = await whyRefused(resources);
      if (why !== undefined) throw failure('SIDERO_STANDALONE_REFUSED', { why });
      await markForMove(resources);
      ready();
      await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
    },
  });
}
