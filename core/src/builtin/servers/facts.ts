import {
  conditionOf,
  fenceOf,
  type Power,
  POWER_ANNOTATION,
  requestOf,
  type Server,
  type ServerBinding,
  type Site,
  wantedPowerOf,
} from '../../index.ts';
import { type Facts, later, timeOf } from './step.ts';

/** An agent that waits shows itself every 20 to 30 s. */
const AGENT_SILENCE_MS = 60_000;

/** What facts are gathered from. */
export interface Ground {
  readonly power: Pick<Power, 'drivers' | 'seen'>;
  readonly site: Pick<Site, 'powerPollMs' | 'rebootTimeoutMs'>;
  readonly installation: string;
  readonly now: Date;
}

/** Whether a ServerBinding says that its MetalMachine is gone. */
export function isInDoubt(binding: ServerBinding | undefined): boolean {
  return conditionOf(binding?.status?.conditions, 'MetalMachineExists')?.status === 'False';
}

/** The facts of one server as far as they cost nothing; the power and the wipe's leave are asked for when they matter. */
export function gatherFacts({ power, site, installation, now }: Ground, server: Server, binding: ServerBinding | undefined): Facts {
  const since = timeOf(server.status?.powerAction?.since);
  const contact = power.seen(server, later(now, -Math.min(AGENT_SILENCE_MS, site.rebootTimeoutMs)));
  return {
    now,
    server,
    boundSince: binding && (timeOf(binding.metadata.creationTimestamp) ?? now),
    isDoubtful: isInDoubt(binding),
    isOurs: fenceOf(server, installation) !== 'foreign',
    drivers: power.drivers(server),
    power: undefined,
    wipe: undefined,
    holder: undefined,
    sighting: since && power.seen(server, since),
    isAgentThere: contact?.wire === 'agent',
    wanted: server.metadata.annotations?.[POWER_ANNOTATION] ? (wantedPowerOf(server) ?? 'unreadable') : undefined,
    request: requestOf(server),
    rebootTimeoutMs: site.rebootTimeoutMs,
    powerPollMs: site.powerPollMs,
  };
}
