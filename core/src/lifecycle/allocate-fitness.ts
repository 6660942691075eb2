import type { Claim } from '../hooks.ts';
import { conditionOf } from '../resources/conditions.ts';
import type { Server } from '../resources/kinds.ts';
import { fenceOf } from './fence.ts';

/** What a Server does not tell itself of whether it may be given away. */
export interface Standing {
  /** Whether it has a ServerBinding, which is there before its status says so. */
  readonly isBound: boolean;
  /** Who we are; see `fenceOf`. Undefined: whose it is does not count, as for a claim that names the very Server. */
  readonly installation: string | undefined;
}

/** Power management that fails for these reasons: the machine could not be switched on once it is given away. */
const WITHOUT_POWER: ReadonlySet<string> = new Set(['AuthFailed', 'LoginMissing', 'Unreachable']);

/** Where a Server is, by Kubernetes' own label. */
const ZONE_LABEL = 'topology.kubernetes.io/zone';

/** Why a Server is given to nobody now, in words that stand after "it is" and after a count: "3 not clean". Undefined: it may be given away. */
export function unfitness(server: Server, { isBound, installation }: Standing): string | undefined {
  const { metadata, spec, status } = server;
  if (metadata.deletionTimestamp) return 'being deleted';
  if (!spec?.accepted) return 'not accepted';
  if (spec.cordoned) return 'cordoned';
  if (isBound || status?.inUse) return 'in use';
  if (installation !== undefined && fenceOf(server, installation) === 'foreign') return 'fenced by another installation';
  if (['failed', 'refused', 'stalled'].includes(status?.wipe?.state ?? '')) return 'unhealthy: the last wipe failed';
  if (!status?.isClean) return 'not clean';
  const power = conditionOf(status.conditions, 'PowerManagement');
  return power?.status === 'False' && WITHOUT_POWER.has(power.reason ?? '') ? `unhealthy: no way to its BMC (${power.reason})` : undefined;
}

/** The failure domain a Server is in; empty when nobody said. */
export function zoneOf({ metadata }: Server): string {
  return metadata.labels?.[ZONE_LABEL] ?? '';
}

/** Why a claim cannot have a Server that others could; in the same words as `unfitness`. */
export function elsewhere(server: Server, { failureDomain }: Claim): string | undefined {
  return failureDomain && zoneOf(server) !== failureDomain ? `not in failure domain ${failureDomain}` : undefined;
}
