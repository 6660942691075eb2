import { createHash } from 'node:crypto';
import type { BmcLogin, PowerSession } from '../registries.ts';
import type { Server } from '../resources/kinds.ts';
import type { Clock } from './clock.ts';
import { POWER_ANNOTATION, REQUEST_ANNOTATION } from './request.ts';
import type { Turns } from './turns.ts';

/** What sessions are kept with. */
export interface KeptSessionsOptions {
  readonly clock: Clock;
  readonly idleMs: number;
  /** Of the device: none is closed while it is told something. */
  readonly turns: Turns;
  dispose(session: PowerSession): Promise<void>;
}

interface Kept {
  readonly server: string;
  readonly identity: string;
  readonly session: PowerSession;
  readonly gone: AbortController;
  usedMs: number;
}

/** Sessions that are open although nothing is said over them now: logging in costs more than what is said. One a Server. */
export class KeptSessions {
  readonly #options: KeptSessionsOptions;
  readonly #byServer = new Map<string, Kept>();

  constructor(options: KeptSessionsOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#byServer.size === 0;
  }

  /** The session of a Server, if its login and what it says of its BMC are still those it was opened with. */
  of(server: Server, login: BmcLogin | undefined): PowerSession | undefined {
    const kept = this.#byServer.get(server.metadata.name);
    if (kept?.identity !== identityOf(server, login)) return undefined;
    kept.usedMs = this.#nowMs();
    return kept.session;
  }

  /** Keeps a session of a Server that has none. */
  keep(session: PowerSession, { server, login }: { readonly server: Server; readonly login: BmcLogin | undefined }): void {
    const { name } = server.metadata;
    const kept = { server: name, identity: identityOf(server, login), session, gone: new AbortController(), usedMs: this.#nowMs() };
    this.#byServer.set(name, kept);
    void this.#closeWhenIdle(kept);
  }

  async drop(session: PowerSession): Promise<void> {
    const kept = [...this.#byServer.values()].find((known) => known.session === session);
    if (kept) await this.#close(kept);
  }

  /** Closes the session of a Server, or all. */
  async close(server?: Server): Promise<void> {
    const kept = [...this.#byServer.values()].filter((known) => !server || known.server === server.metadata.name);
    await Promise.all(kept.map((known) => this.#close(known)));
  }

  async #close(kept: Kept): Promise<void> {
    if (this.#byServer.get(kept.server) !== kept) return;
    this.#byServer.delete(kept.server);
    kept.gone.abort();
    await this.#options.dispose(kept.session);
  }

  async #closeWhenIdle(kept: Kept): Promise<void> {
    const { clock, idleMs, turns } = this.#options;
    const { signal } = kept.gone;
    try {
      for (;;) {
        const leftMs = kept.usedMs + idleMs - this.#nowMs();
        if (leftMs > 0) {
          await clock.pause(leftMs, signal);
          continue;
        }
        const done = await turns.take(signal);
        try {
          // Whoever had the turn before may have used it.
          if (kept.usedMs + idleMs <= this.#nowMs()) return await this.#close(kept);
        } finally {
          done();
        }
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  #nowMs(): number {
    return this.#options.clock.now().getTime();
  }
}

/** Stands for a login together with all that a driver may read from the Server to use it; tells nothing of either. */
export function identityOf({ spec, metadata }: Server, login: BmcLogin | undefined): string {
  const ours = Object.entries(metadata.annotations ?? {})
    .filter(([key]) => key.startsWith('metal.sidero.dev/') && key !== REQUEST_ANNOTATION && key !== POWER_ANNOTATION)
    .map((pair) => pair.join('='))
    .toSorted();
  return createHash('sha256')
    .update(JSON.stringify([spec?.bmc, spec?.managementApi, ours, login?.user, login?.pass]))
    .digest('base64');
}
