import type { KubeEvent, Server } from '../resources/kinds.ts';
import { inColumns } from './in-columns.ts';

/** A server that is not ready, or that a Warning is about, and why. */
export interface NotableServer {
  readonly server: string;
  readonly hostname: string;
  /** Name of its step, else that of the Event that tells of it. */
  readonly state: string;
  readonly since: string;
  readonly why: string;
}

/** What `sidero why --json` prints. */
export interface FleetState {
  /** How many servers are in each state. */
  readonly states: Readonly<Record<string, number>>;
  readonly notable: readonly NotableServer[];
}

/** How long a Warning is news. Those that go on are told of again within this time. */
const NEWS_MS = 15 * 60_000;
const UNTOLD = 'NotLookedAt';
const MAX_WHY = 160;

/** Counts the servers, and finds those that are not ready, or that a Warning of the last minutes is about. */
export function fleetState(servers: readonly Server[], events: readonly KubeEvent[], now: Date): FleetState {
  const states: Record<string, number> = {};
  const warnings = new Map<string, KubeEvent>();
  for (const event of events) {
    const { type, lastTimestamp, involvedObject } = event;
    const isNews = now.getTime() - Date.parse(lastTimestamp ?? '') < NEWS_MS;
    if (type === 'Warning' && isNews && involvedObject.kind === 'Server' && involvedObject.name) warnings.set(involvedObject.name, event);
  }
  const notable: NotableServer[] = [];
  for (const { metadata, spec, status } of servers) {
    const { name: state = UNTOLD, since = '', reason = '' } = status?.step ?? {};
    states[state] = (states[state] ?? 0) + 1;
    const about = { server: metadata.name, hostname: spec?.hostname || '-' };
    const warning = warnings.get(metadata.name);
    if (status?.ready !== true) notable.push({ ...about, state, since, why: reason });
    else if (warning)
      notable.push({
        ...about,
        state: warning.reason ?? '',
        since: warning.firstTimestamp ?? warning.lastTimestamp ?? '',
        why: warning.message ?? '',
      });
  }
  return { states, notable };
}

/** The same for people; `when` writes a time. */
export function fleetText({ states, notable }: FleetState, when: (time: string) => string): readonly string[] {
  const counts = Object.entries(states).sort(([, a], [, b]) => b - a);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const summary = `${total} servers${counts.length > 0 ? ': ' : ''}${counts.map(([state, count]) => `${count} ${state}`).join(', ')}`;
  if (notable.length === 0) return [summary, 'all of them are ready; sidero why SERVER tells of one'];
  const rows = notable.map(({ server, hostname, state, since, why }) => [server, hostname, state, since && when(since), why.slice(0, MAX_WHY)]);
  return [summary, ...inColumns([['SERVER', 'HOSTNAME', 'STATE', 'SINCE', 'WHY'], ...rows]), 'sidero why SERVER tells what to do'];
}
