import type { Ref, Server } from '@sidero/core';
import { keyOf } from '../kinds.ts';

/** How many of those that wait are woken by one server: another may be faster, or the server may be refused. */
const WOKEN_AT_ONCE = 2;

/** MetalMachines that wait for a server, woken first come, first served. */
export class WaitingMachines {
  readonly #waiting = new Map<string, { readonly ref: Ref; readonly wants: (server: Server) => boolean }>();

  /** Who waits already keeps its place. */
  add(ref: Ref, wants: (server: Server) => boolean): void {
    this.#waiting.set(keyOf(ref), { ref, wants });
  }

  remove(ref: Ref): void {
    this.#waiting.delete(keyOf(ref));
  }

  /** Whom this server may serve; they go to the end of the queue, so that one that cannot use it does not keep others from it. */
  wake(server: Server): readonly Ref[] {
    const woken: Ref[] = [];
    for (const entry of this.#waiting.values()) {
      if (entry.wants(server)) woken.push(entry.ref);
      if (woken.length === WOKEN_AT_ONCE) break;
    }
    for (const ref of woken) {
      const entry = this.#waiting.get(keyOf(ref))!;
      this.#waiting.delete(keyOf(ref));
      this.#waiting.set(keyOf(ref), entry);
    }
    return woken;
  }
}
