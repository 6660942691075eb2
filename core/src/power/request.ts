import type { Server } from '../resources/kinds.ts';

/** What a person asks of one Server, once: "power-cycle 3f9a0c1d", written by `sidero`; the loop answers in the status and takes it off. */
export const REQUEST_ANNOTATION = 'metal.sidero.dev/request';
/** The power state that a person wants kept, `on` or `off`, whatever the loop would do by itself. */
export const POWER_ANNOTATION = 'metal.sidero.dev/power';

const VERBS = ['power-on', 'power-off', 'power-cycle', 'power-soft', 'power-read', 'bmc-rotate', 'wipe', 'wipe-plan'] as const;

/** What can be asked for. */
export type RequestVerb = (typeof VERBS)[number];

/** A request as it stands on a Server. */
export interface OperatorRequest {
  /** Undefined when it is none that we know; it is answered as failed. */
  readonly verb: RequestVerb | undefined;
  /** The whole value of the annotation: what an answer in `status.powerAction.request` repeats. */
  readonly text: string;
}

/** The value of `REQUEST_ANNOTATION`; the id tells it from the same request made before. */
export function requestText(verb: RequestVerb): string {
  return `${verb} ${crypto.randomUUID().slice(0, 8)}`;
}

/** What is asked of a Server now. */
export function requestOf(server: Server): OperatorRequest | undefined {
  const text = server.metadata.annotations?.[REQUEST_ANNOTATION];
  if (!text) return undefined;
  const [word] = text.trim().split(/\s+/, 1);
  return { verb: VERBS.find((verb) => verb === word), text };
}

/** The power state that a person wants kept; undefined leaves it to the loop. */
export function wantedPowerOf(server: Server): 'on' | 'off' | undefined {
  const wanted = server.metadata.annotations?.[POWER_ANNOTATION];
  return wanted === 'on' || wanted === 'off' ? wanted : undefined;
}
