import { isDeepStrictEqual } from 'node:util';
import { FENCE_ANNOTATION, type Server } from '../../index.ts';
import type { Purpose } from './step.ts';

/** Why an action was broken off. */
export class Overtaken extends Error {}

interface Running {
  readonly purpose: Purpose;
  readonly fence: string | undefined;
  /** How its power is reached. */
  readonly way: unknown;
  readonly stop: AbortController;
}

/** The power actions that are being done now. One may take minutes; what forbids it meanwhile breaks it off. */
export class UnderWay {
  readonly #running = new Map<string, Running>();

  /** The signal aborts with `Overtaken` when the action must not go on. Dispose it when the action has ended. */
  begin(server: Server, purpose: Purpose): Disposable & { readonly signal: AbortSignal } {
    const { name, annotations } = server.metadata;
    const stop = new AbortController();
    this.#running.set(name, { purpose, fence: annotations?.[FENCE_ANNOTATION], way: wayTo(server), stop });
    return { signal: stop.signal, [Symbol.dispose]: () => void this.#running.delete(name) };
  }

  /** A ServerBinding came, changed or went. */
  bound(name: string): void {
    const { purpose } = this.#running.get(name) ?? {};
    if (purpose === 'wipe' || purpose === 'clean') this.#stop(name, 'it was allocated meanwhile');
  }

  /** The Server is now so. */
  changed(server: Server): void {
    const { metadata, spec } = server;
    const running = this.#running.get(metadata.name);
    if (!running) return;
    if (metadata.deletionTimestamp) this.#stop(metadata.name, 'the Server is being deleted');
    if (!spec?.accepted) this.#stop(metadata.name, 'it is not accepted any more');
    if (metadata.annotations?.[FENCE_ANNOTATION] !== running.fence) this.#stop(metadata.name, 'another installation took it');
    // What it named before may be the BMC of another machine.
    if (!isDeepStrictEqual(wayTo(server), running.way)) this.#stop(metadata.name, 'the address or the login of its BMC was changed meanwhile');
    if (spec?.cordoned && running.purpose === 'wipe') this.#stop(metadata.name, 'it was cordoned meanwhile');
  }

  #stop(name: string, why: string): void {
    this.#running.get(name)?.stop.abort(new Overtaken(why));
  }
}

function wayTo({ spec }: Server): unknown {
  return [spec?.bmc, spec?.managementApi];
}
