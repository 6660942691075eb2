import type { Hold, OperatorRequest, PowerActionRecord, PowerOrder, PowerReading, Server, Sighting, WipePlan } from '../../index.ts';

/** Why something is done to a machine's power. */
export type Purpose = 'wipe' | 'allocation' | 'clean' | 'wanted' | 'request';

/** All that a step is decided from: plain values, looked at in one moment. */
export interface Facts {
  readonly now: Date;
  readonly server: Server;
  /** Whether a ServerBinding of its name exists, and since when. */
  readonly boundSince: Date | undefined;
  /** Its ServerBinding says that its MetalMachine is gone: after a move, another installation has both. */
  readonly isDoubtful: boolean;
  /** False: another installation may be acting on it. */
  readonly isOurs: boolean;
  /** The drivers that claim it, in config order. */
  readonly drivers: readonly string[];
  /** Undefined: not looked at in this pass. */
  readonly power: PowerReading | undefined;
  /** What the `wipe` stage says; undefined: not asked in this pass. */
  readonly wipe: WipePlan | Hold | undefined;
  /** Why somebody holds it although it looks free; `nobody` does, or undefined: not asked in this pass. */
  readonly holder: { readonly why: string } | 'nobody' | undefined;
  /** The last contact of the machine since the last power action was begun. */
  readonly sighting: Sighting | undefined;
  /** The machine's agent was in contact a moment ago. */
  readonly isAgentThere: boolean;
  /** The power state a person wants kept; `unreadable`: nobody knows what was meant. */
  readonly wanted: 'on' | 'off' | 'unreadable' | undefined;
  readonly request: OperatorRequest | undefined;
  readonly rebootTimeoutMs: number;
  readonly powerPollMs: number;
}

/** Where a server is in its life, as its status tells it. */
export interface Told {
  /** One CamelCase word. */
  readonly name: string;
  readonly reason: string;
  readonly next: string;
  /** Never a time that moves by itself: a server at rest costs no write. */
  readonly until?: Date | undefined;
  readonly evidence?: string | undefined;
  /** Whether the machine is where it should be. */
  readonly ready: boolean;
}

/** One action on the power, before it is done. */
export interface Intent {
  readonly order: PowerOrder;
  readonly purpose: Purpose;
  /** How many times in a row, from 1. */
  readonly attempt: number;
  /** How long a contact of the machine is waited for. Undefined: the power state is proof enough. */
  readonly evidenceMs?: number | undefined;
  /** The request that is answered by it. */
  readonly request?: string | undefined;
  /** When a failure is followed by another attempt. Undefined: at once, with the next driver. */
  readonly retryMs: number | undefined;
}

/** A fact for the Events of the Server. */
export interface Remark {
  readonly type: 'Normal' | 'Warning';
  readonly message: string;
}

/** The one thing that is done now. */
export type Deed =
  | { readonly kind: 'rest' }
  /** Reads the power, then decides again. */
  | { readonly kind: 'look' }
  /** Asks the `wipe` stage, then decides again. */
  | { readonly kind: 'ask' }
  /** Asks who holds it, then decides again. */
  | { readonly kind: 'ask-holder' }
  | { readonly kind: 'act'; readonly intent: Intent }
  /** Writes down how an action came out. */
  | { readonly kind: 'settle'; readonly record: PowerActionRecord; readonly remark?: Remark }
  /** Answers a request that needs no power; `problem` refuses it. */
  | { readonly kind: 'answer'; readonly record: PowerActionRecord; readonly effect?: 'forget-wipe' | 'plan-wipe' }
  /** Another password for the BMC. */
  | { readonly kind: 'rotate'; readonly request: string }
  /** Takes an answered request off. */
  | { readonly kind: 'take-off-request' };

/** What to do now, what the status says meanwhile, and when to look again (undefined: when something changes). */
export interface Step {
  readonly deed: Deed;
  /** Undefined: it stays as it is. */
  readonly told: Told | undefined;
  readonly againMs?: number | undefined;
}

/** An error is tried again after this long, as the original does it. */
export const RETRY_MS = 20_000;
/** A hold of a plugin may end without any change of the Server. */
export const HOLD_LOOK_MS = 60_000;
/** How long a network boot may take to be seen. */
export const EVIDENCE_MS = 5 * 60_000;
/** An agent asks for work every 20 to 30 s; for so long the wipe is left to it instead of a power cycle. */
export const AGENT_PATIENCE_MS = 2 * 60_000;

const REST = { kind: 'rest' } as const;

/** Nothing to do. */
export function rest(told: Told, againMs?: number): Step {
  return { deed: REST, told, againMs };
}

/** Milliseconds until then; at least one, so that time passes. */
export function msUntil(then: Date, now: Date): number {
  return Math.max(1, then.getTime() - now.getTime());
}

/** That much later. */
export function later(from: Date, ms: number): Date {
  return new Date(from.getTime() + ms);
}

/**
 * A time that is waited for; undefined when it is over. One that lies further ahead than twice the longest wait was written by a clock that was
 * wrong, and would be waited for until it comes.
 */
export function ahead(until: Date | undefined, { now, mostMs }: { readonly now: Date; readonly mostMs: number }): Date | undefined {
  return until && until > now && until.getTime() - now.getTime() <= 2 * mostMs ? until : undefined;
}

/** The wait after `attempt` failures in a row: 20 s, doubling, `mostMs` at most. */
export function retryMs(attempt: number, mostMs: number): number {
  return Math.min(mostMs, RETRY_MS * 2 ** Math.min(attempt - 1, 20));
}

/** A time of the API; undefined when there is none or it is none. */
export function timeOf(text: string | undefined): Date | undefined {
  const time = new Date(text ?? '');
  return Number.isNaN(time.getTime()) ? undefined : time;
}
