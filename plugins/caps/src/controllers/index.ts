import type { Sidero } from '@sidero/core';
import type { ClusterApi } from '../cluster-api-version.ts';
import { rejectHeld } from './allocate-hold.ts';
import { holdForBinding, holdForRecord } from './boot-hold.ts';
import { tellBootTrouble } from './boot-trouble.ts';
import { declareIndexes } from './metal-machine-facts.ts';
import { metalClusters } from './metal-clusters.ts';
import { metalMachines } from './metal-machines.ts';
import { nodeProviderIds } from './node-provider-ids.ts';
import { Reminders } from './reminders.ts';
import { serverBindings } from './server-bindings.ts';
import { holdForMachines } from './wipe-hold.ts';
import { WorkloadClusters } from './workload-clusters.ts';

/** Adds the loops over Cluster API's infrastructure, and what keeps servers in use from being wiped. Gives the way to the clusters that are made. */
export function addControllers(sidero: Sidero, given: { readonly clusterApi: ClusterApi; readonly orphanGraceMs: number }): WorkloadClusters {
  const { controllers, hooks, lifecycle, log, metrics, resources, services } = sidero;
  const parts = { ...given, lifecycle, log, now: () => new Date(), resources };
  const workloads = new WorkloadClusters({ resources, log: log.child({ room: 'workload clusters' }), metrics });
  declareIndexes(resources);
  controllers.add(metalClusters(parts));
  controllers.add(metalMachines({ ...parts, workloads }));
  controllers.add(serverBindings(parts));
  controllers.add(nodeProviderIds({ ...parts, workloads }));
  hooks.wipe.tapPromise('caps', (plan, server) => ('hold' in plan ? Promise.resolve(plan) : holdForMachines(parts, plan, server)));
  hooks.allocate.tapPromise('caps', (selection) => rejectHeld(resources, selection));
  hooks.boot.tapPromise('caps', (plan, request) => holdForBinding(resources, plan, request));
  const bootParts = { ...parts, reminders: new Reminders() };
  hooks.boot.tapPromise('caps', (plan, request) => tellBootTrouble(bootParts, plan, request));
  hooks.boot.tapPromise('caps', (plan, request) => holdForRecord(resources, plan, request));
  services.add({
    name: 'workload-clusters',
    where: 'leader',
    async run(signal, ready) {
      await using _closed = workloads;
      ready();
      await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
    },
  });
  return workloads;
}
