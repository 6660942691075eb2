import type { Server } from '@sidero/core';
import type { ClusterApiVersion } from '../kinds.ts';
import { ZONE_LABEL } from './contract.ts';

/** As many as Cluster API takes. */
const MAX_DOMAINS = 100;

/** The failure domains that accepted Servers stand in, sorted. */
export function zonesOf(servers: readonly Server[]): readonly string[] {
  const zones = servers.flatMap(({ metadata, spec }) => (spec?.accepted && metadata.labels?.[ZONE_LABEL]) || []);
  return [...new Set(zones)].toSorted().slice(0, MAX_DOMAINS);
}

/** `status.failureDomains` in the form of that version's contract; undefined when there are none. */
export function failureDomainsOf(zones: readonly string[], version: ClusterApiVersion): unknown {
  if (zones.length === 0) return undefined;
  if (version === 'v1beta2') return zones.map((name) => ({ name, controlPlane: true }));
  return Object.fromEntries(zones.map((name) => [name, { controlPlane: true }]));
}
