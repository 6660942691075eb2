import { duration } from '@sidero/core';
import type { LineSelection } from '../kept/read-kept-lines.ts';
import { failure } from '../errors.ts';

/** What `sidero logs` and `sidero events` are told. */
export interface LineOptions {
  readonly follow?: boolean;
  readonly since?: string;
  readonly boot?: string;
  /** Management listener of a sidero that runs elsewhere. */
  readonly from?: string;
  readonly dataDir?: string;
}

/** The lines that were asked for. @throws SIDERO_LINES_OPTION_INVALID */
export function selectionOf({ follow, since, boot }: Pick<LineOptions, 'follow' | 'since' | 'boot'>, now: Date): LineSelection {
  return {
    follow: follow === true,
    since: since === undefined ? undefined : timeOf(since, now),
    boot: boot === undefined ? undefined : bootOf(boot),
  };
}

function timeOf(text: string, now: Date): Date {
  const ago = duration('--since').parse(text);
  const time = new Date(ago === undefined ? text : now.getTime() - ago);
  if (!Number.isNaN(time.getTime())) return time;
  throw failure('SIDERO_LINES_OPTION_INVALID', {
    option: '--since',
    value: text,
    expected: 'a duration such as 15m, or a time such as 2026-11-29T19:38:00Z,',
  });
}

function bootOf(text: string): number {
  if (/^-?\d{1,6}$/.test(text)) return Number(text);
  throw failure('SIDERO_LINES_OPTION_INVALID', {
    option: '--boot',
    value: text,
    expected: '0 for the last boot, -1 for the one before, or 1 for the first one kept,',
  });
}
