import type { Command } from 'commander';
import { wantedPowerOf } from '../power/request.ts';
import type { Condition, DiskRecord, KubeEvent, PowerActionRecord, Server, WipeRecord } from '../resources/kinds.ts';
import { EventKind, ServerKind } from '../resources/kinds.ts';
import { askExplainers, type Explanation } from './ask-explainers.ts';
import { sizeOf } from './disk-table.ts';
import { fleetState, fleetText } from './fleet-state.ts';
import { type ApiOptions, kubeConfigOf, type RunningSidero, runningSidero, serverNamed, withApiOptions } from './running-sidero.ts';

/** Why a Server is where it is: what `sidero why --json` prints. */
export interface Why {
  readonly server: string;
  readonly step: NonNullable<Server['status']>['step'];
  readonly power: string;
  readonly cordoned: boolean;
  readonly wantedPower: 'on' | 'off' | undefined;
  readonly powerAction: PowerActionRecord | undefined;
  readonly wipe: WipeRecord | undefined;
  readonly conditions: readonly Condition[];
  /** The last ones, oldest first. */
  readonly events: readonly {
    readonly at: string;
    readonly type: string;
    readonly reason: string;
    readonly message: string;
    readonly count: number;
  }[];
  /** What plugins know beside that. */
  readonly told: readonly Explanation[];
}

const LAST_EVENTS = 6;
/** Where Events of objects without a namespace are. */
const SERVER_EVENTS = { namespace: 'default' };

/** `sidero why SERVER`: where a server is in its life, since when, until when, how that is known, and what comes next. Without: all of them. */
export function whyCommand(program: Command): void {
  withApiOptions(program.command('why [server]'))
    .description(
      'tell where a server is in its life, why, since when, until when, and what comes next; without one: which servers are not ready, and why',
    )
    .option('--json', 'as one JSON object')
    .action(async (name: string | undefined, options: ApiOptions & { readonly json?: boolean }, command: Command) => {
      await using sidero = runningSidero(options);
      if (name === undefined) return await whyOfAll(sidero, options);
      const [server, events, now] = [await serverNamed(sidero, name), await eventsAbout(sidero, name), new Date()];
      const when = (time: Date) => whenText(time.toISOString(), now);
      const dataDir = command.getOptionValueSource('dataDir') === 'cli' ? options.dataDir : undefined;
      const given = { config: program.opts<{ config?: string }>().config, kubeConfig: kubeConfigOf(options), dataDir };
      const why = whyOf(server, events, await askExplainers({ server, events: byAge(events), now, when }, given));
      process.stdout.write(options.json ? `${JSON.stringify(why, null, 2)}\n` : `${whyText(why, now).join('\n')}\n`);
    });
}

async function whyOfAll({ resources }: RunningSidero, { json }: { readonly json?: boolean }): Promise<void> {
  const [servers, events] = [await resources.list(ServerKind, {}, { live: true }), await resources.list(EventKind, SERVER_EVENTS, { live: true })];
  const [now, state] = [new Date(), fleetState(servers, byAge(events), new Date())];
  const text = json ? JSON.stringify(state, null, 2) : fleetText(state, (time) => whenText(time, now)).join('\n');
  process.stdout.write(`${text}\n`);
}

const timeOf = ({ lastTimestamp, firstTimestamp }: KubeEvent) => lastTimestamp ?? firstTimestamp ?? '';

function byAge(events: readonly KubeEvent[]): readonly KubeEvent[] {
  return events.toSorted((a, b) => Date.parse(timeOf(a)) - Date.parse(timeOf(b)));
}

async function eventsAbout({ resources }: RunningSidero, name: string): Promise<readonly KubeEvent[]> {
  const events = await resources.list(EventKind, SERVER_EVENTS, { live: true });
  return events.filter(({ involvedObject: { kind, name: about } }) => kind === 'Server' && about === name);
}

/** What is to be told of a Server. */
export function whyOf(server: Server, events: readonly KubeEvent[], told: readonly Explanation[] = []): Why {
  const { step, power = 'unknown', powerAction, wipe, conditions = [] } = server.status ?? {};
  const last = byAge(events).slice(-LAST_EVENTS);
  return {
    server: server.metadata.name,
    step,
    power,
    cordoned: server.spec?.cordoned === true,
    wantedPower: wantedPowerOf(server),
    powerAction,
    wipe,
    conditions,
    events: last.map((event) => {
      const { type = '', reason = '', message = '', count = 1 } = event;
      return { at: timeOf(event), type, reason, message, count };
    }),
    told,
  };
}

/** The same for people: a line a thing, names in one column. */
export function whyText(why: Why, now: Date): readonly string[] {
  const { step, powerAction, wipe, conditions, events, told } = why;
  const rows: (readonly [name: string, text: string | undefined])[] = [
    ['state', step?.name ? [step.name, step.reason].filter(Boolean).join(': ') : 'not told yet: no sidero that leads has looked at it'],
    ['since', step?.since && whenText(step.since, now)],
    ['until', step?.until && whenText(step.until, now)],
    ['evidence', step?.evidence],
    ['next', step?.next],
    ['power', `${why.power}${why.wantedPower ? `; a person wants it ${why.wantedPower}` : ''}`],
    ['cordoned', why.cordoned && why.step?.name !== 'Cordoned' ? 'nothing new is begun on it while it is free' : undefined],
    ['action', powerAction && actionText(powerAction, now)],
    ['wipe', wipe && wipeText(wipe, now)],
    ...(wipe?.disks ?? []).map((disk) => ['', diskText(disk)] as const),
    ...told.flatMap(({ name, lines }) => lines.map((line, index) => [index === 0 ? name : '', line] as const)),
    ...conditions.map((condition, index) => [index === 0 ? 'conditions' : '', conditionText(condition, now)] as const),
    ...events.map((event, index) => [index === 0 ? 'events' : '', eventText(event, now)] as const),
  ];
  return [`Server ${why.server}`, ...rows.flatMap(([name, text]) => (text ? [`  ${name.padEnd(12)}${text}`] : []))];
}

function actionText({ action, driver, purpose, state, since, until, attempt, problem }: PowerActionRecord, now: Date): string {
  const parts = [
    `${action ?? 'request'} ${state ?? ''}`.trim(),
    driver && `by ${driver}`,
    purpose && `for ${purpose}`,
    attempt !== undefined && attempt > 1 && `attempt ${attempt}`,
    since && whenText(since, now),
    until && `until ${whenText(until, now)}`,
  ];
  return `${parts.filter(Boolean).join(', ')}${problem ? `: ${problem}` : ''}`;
}

function wipeText({ state, attempt, message, method, handedAt, endedAt }: WipeRecord, now: Date): string {
  const time = endedAt ?? handedAt;
  const parts = [state, method, attempt !== undefined && attempt > 1 && `attempt ${attempt}`, time && whenText(time, now)];
  return `${parts.filter(Boolean).join(', ')}${message ? `: ${message}` : ''}`;
}

function diskText({ deviceName, serial, wwn, method, state, doneBytes, sizeBytes, problem }: DiskRecord): string {
  const name = deviceName ?? serial ?? wwn ?? 'disk';
  const part = state === 'running' && doneBytes !== undefined && sizeBytes ? `${Math.floor((100 * doneBytes) / sizeBytes)} %` : undefined;
  const parts = [`${name} ${state ?? ''}`.trim(), method, part, sizeOf(sizeBytes)];
  return `${parts.filter(Boolean).join(', ')}${problem ? `: ${problem}` : ''}`;
}

function conditionText({ type, status, reason, message, lastTransitionTime }: Condition, now: Date): string {
  return `${type} ${status}${reason ? ` ${reason}` : ''}, ${whenText(lastTransitionTime, now)}${message ? `: ${message}` : ''}`;
}

function eventText({ at, type, reason, message, count }: Why['events'][number], now: Date): string {
  return `${whenText(at, now)} ${type === 'Warning' ? 'Warning ' : ''}${reason}${count > 1 ? ` (${count} times)` : ''}: ${message}`;
}

/** "14:03:05 (3 min ago)", in UTC; the date too when it is another day. */
export function whenText(time: string, now: Date): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return time;
  const iso = at.toISOString();
  const shown = iso.slice(0, 10) === now.toISOString().slice(0, 10) ? iso.slice(11, 19) : `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
  const seconds = Math.round((now.getTime() - at.getTime()) / 1000);
  return `${shown} (${seconds < 0 ? `in ${spanText(-seconds)}` : `${spanText(seconds)} ago`})`;
}

function spanText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 2 * 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}
