import { type ResourceClient, type Server, type ServerBinding, ServerBindingKind, ServerKind } from '@sidero/core';
import { type Standing, standingOf } from './standing.ts';

/** What is told when the standing of a Server may have changed. */
export type OnStanding = (name: string, standing: Standing) => void;

/** Tells two. */
export function both(one: OnStanding, other: OnStanding): OnStanding {
  return (name, standing) => {
    one(name, standing);
    other(name, standing);
  };
}

/** What the API says of every Server, put together from all that tells of it. */
export class Standings {
  readonly #resources: ResourceClient;
  /** Servers whose kernel log has been heard. */
  readonly #streaming = new Set<string>();
  readonly #servers = new Map<string, Server>();
  readonly #bindings = new Map<string, ServerBinding>();
  #onStanding: OnStanding | undefined;

  constructor(resources: ResourceClient) {
    this.#resources = resources;
  }

  /** A record of its kernel log has come. */
  hears(name: string): void {
    if (this.#streaming.has(name)) return;
    this.#streaming.add(name);
    this.#tell(name);
  }

  /** Asked afresh. */
  async all(): Promise<ReadonlyMap<string, Standing>> {
    const [servers, bindings] = await Promise.all([
      this.#resources.list(ServerKind, {}, { live: true }),
      this.#resources.list(ServerBindingKind, {}, { live: true }),
    ]);
    const bindingOf = (name: string) => bindings.find(({ metadata }) => metadata.name === name);
    return new Map(servers.map((server) => [server.metadata.name, this.#standing(server, bindingOf(server.metadata.name))]));
  }

  /** Tells the standing of every Server, and again when it changes, until the signal aborts. */
  async watch(onStanding: OnStanding, signal: AbortSignal): Promise<void> {
    this.#onStanding = onStanding;
    await Promise.all([
      this.#resources.watch(ServerKind, ({ object }) => this.#note(this.#servers, object), signal),
      this.#resources.watch(
        ServerBindingKind,
        ({ type, object }) => (type === 'removed' ? this.#forget(object.metadata.name) : this.#note(this.#bindings, object)),
        signal,
      ),
    ]);
  }

  #note<T extends Server | ServerBinding>(known: Map<string, T>, object: T): void {
    known.set(object.metadata.name, object);
    this.#tell(object.metadata.name);
  }

  #forget(name: string): void {
    this.#bindings.delete(name);
    this.#tell(name);
  }

  #tell(name: string): void {
    const server = this.#servers.get(name);
    if (server) this.#onStanding?.(name, this.#standing(server, this.#bindings.get(name)));
  }

  #standing(server: Server, binding: ServerBinding | undefined): Standing {
    return standingOf(server, { binding, isStreaming: this.#streaming.has(server.metadata.name) });
  }
}
