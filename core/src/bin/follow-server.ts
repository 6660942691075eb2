import { type Command, InvalidArgumentError, Option } from 'commander';
import { failure } from '../errors.ts';
import { type Server, ServerKind } from '../resources/kinds.ts';
import { duration } from '../settings.ts';
import type { RunningSidero } from './running-sidero.ts';

/** Which Server is followed, and for how long. */
export interface Following {
  readonly sidero: Pick<RunningSidero, 'resources' | 'signal'>;
  readonly server: string;
  readonly waitMs: number;
  /** Takes lines about what goes on. */
  tell(line: string): void;
}

/** What is waited for. */
export interface Awaited<T> {
  /** In words: "power-off". */
  readonly what: string;
  /** Sets it going, once nothing that happens can be missed. */
  begin(): Promise<unknown>;
  /** Undefined: not yet. Asked at every change of the Server. */
  outcome(server: Server): T | undefined;
}

/** Adds `--wait`, which gives milliseconds. */
export function withWait(command: Command): Command {
  return command.addOption(
    new Option('--wait <duration>', 'how long to wait for it, e.g. 90s or 5m; 0s: not at all').argParser(waitOf).default(60_000, '60s'),
  );
}

function waitOf(text: string): number {
  const ms = duration('--wait').parse(text);
  if (ms === undefined) throw new InvalidArgumentError('It is a duration such as 90s or 5m.');
  return ms;
}

/** Follows a Server until the outcome is there; undefined when the time is over. @throws SIDERO_RESOURCE_MISSING */
export async function followServer<T>({ sidero, server, waitMs, tell }: Following, { what, begin, outcome }: Awaited<T>): Promise<T | undefined> {
  const { resources } = sidero;
  const end = Promise.withResolvers<T | undefined>();
  const stop = new AbortController();
  const signal = AbortSignal.any([sidero.signal, stop.signal]);
  // It may be over before anybody waits for it.
  end.promise.catch(() => undefined);
  const interrupt = (): void => end.reject(sidero.signal.reason);
  sidero.signal.addEventListener('abort', interrupt, { once: true });
  const told = once(tell);
  const from = Date.now();
  tell(`waiting for ${what} of ${server}, from ${timeOf(from)} until ${timeOf(from + waitMs)}`);
  void resources.watch(
    ServerKind,
    ({ type, object }) => {
      if (object.metadata.name !== server) return;
      if (type === 'removed') return end.reject(failure('SIDERO_RESOURCE_MISSING', { kind: 'Server', name: server }));
      const found = outcome(object);
      if (found === undefined) told(progressOf(object));
      else end.resolve(found);
    },
    signal,
  );
  let timer: NodeJS.Timeout | undefined;
  try {
    await resources.synced(signal);
    await begin();
    timer = setTimeout(() => end.resolve(undefined), waitMs);
    return await end.promise;
  } finally {
    clearTimeout(timer);
    sidero.signal.removeEventListener('abort', interrupt);
    stop.abort();
  }
}

/** Where a Server is, in a line. */
export function progressOf({ status }: Server): string {
  const { step, powerAction: action } = status ?? {};
  const doing =
    action?.state === 'begun' || action?.state === 'waiting' ? `${action.action} by ${action.driver ?? 'the power drivers'} ${action.state}` : '';
  const where = step?.name ? `${step.name}${step.reason ? `: ${step.reason}` : ''}` : '';
  return [where, doing].filter(Boolean).join('; ');
}

function once(tell: (line: string) => void): (line: string) => void {
  let last = '';
  return (line) => {
    if (line === '' || line === last) return;
    last = line;
    tell(`  ${timeOf(Date.now())} ${line}`);
  };
}

/** The time of day in UTC, as logs have it. */
export function timeOf(time: number | string): string {
  return new Date(time).toISOString().slice(11, 19);
}
