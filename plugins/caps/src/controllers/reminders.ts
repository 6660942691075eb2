import type { Ref } from '@sidero/core';
import { keyOf } from '../kinds.ts';

/** Events live for an hour: what lasts is told again. */
const AGAIN_MS = 30 * 60_000;

interface Told {
  readonly what: string;
  readonly dueMs: number;
}

/** When an object's trouble is told to people: once it has lasted for a while, and again while it lasts. */
export class Reminders {
  readonly #told = new Map<string, Told>();

  /** Whether this trouble of the object is to be told now; `afterMs` is how long it must have lasted for the first time, 0 to be told at once. */
  isDue(ref: Ref, what: string, { now, afterMs }: { readonly now: Date; readonly afterMs: number }): boolean {
    const key = keyOf(ref);
    const known = this.#told.get(key);
    const dueMs = known?.what === what ? known.dueMs : now.getTime() + afterMs;
    const isDue = now.getTime() >= dueMs;
    this.#told.set(key, { what, dueMs: isDue ? now.getTime() + AGAIN_MS : dueMs });
    return isDue;
  }

  /** Its trouble is over, or it is gone. */
  forget(ref: Ref): void {
    this.#told.delete(keyOf(ref));
  }
}
