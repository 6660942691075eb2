/**
 * Annotation of a binding: how its machine's end of the tunnel is, `WORD TIME`. The replica that leads writes it when the word changes, for people
 * and for `sidero why`; nothing depends on it.
 */
export const LINK_ANNOTATION = 'metal.sidero.dev/siderolink-link';

/** `up`: heard, since then; `silent`: it was last heard then; `unheard`: in place since then, and never heard. */
export interface LinkState {
  readonly word: 'up' | 'silent' | 'unheard';
  readonly since: Date;
}

/** Talos gives a session up at this age of its handshake, and joins anew. */
export const LATE_MS = 275_000;
/** Who joined speaks at once: after this something is in the way. */
const UNHEARD_MS = 60_000;

/** What is known of a peer. */
export interface LinkFacts {
  readonly handshakeAt: Date | undefined;
  /** Since when the device has it. */
  readonly placedAt: Date;
  readonly before: LinkState | undefined;
  readonly now: Date;
}

/** How a peer is, when that is news; undefined: as before, or not known yet. */
export function linkNews({ handshakeAt, placedAt, before, now }: LinkFacts): LinkState | undefined {
  const ageOf = (time: Date) => now.getTime() - time.getTime();
  const wasUp = before?.word === 'up';
  if (handshakeAt && ageOf(handshakeAt) <= LATE_MS) return wasUp ? undefined : { word: 'up', since: handshakeAt };
  if (before && !wasUp) return undefined;
  if (handshakeAt) return { word: 'silent', since: handshakeAt };
  // Another device than the one on which it was heard: it may still come by itself.
  if (wasUp) return ageOf(placedAt) > LATE_MS ? { word: 'silent', since: placedAt } : undefined;
  return ageOf(placedAt) > UNHEARD_MS ? { word: 'unheard', since: placedAt } : undefined;
}

/** As the annotation has it. */
export function linkText({ word, since }: LinkState): string {
  return `${word} ${since.toISOString()}`;
}

/** Undefined: there is none, or it is none of ours. */
export function linkStateOf(text: string | undefined): LinkState | undefined {
  const [, word, time = ''] = /^(up|silent|unheard) (\S+)$/.exec(text ?? '') ?? [];
  const since = new Date(time);
  return word === undefined || Number.isNaN(since.getTime()) ? undefined : { word: word as LinkState['word'], since };
}
