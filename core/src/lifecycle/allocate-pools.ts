import { isDeepStrictEqual } from 'node:util';
import type { Claim } from '../hooks.ts';
import { type Server, type ServerBinding, ServerBindingKind, type ServerClass, ServerKind } from '../resources/kinds.ts';
import { matchServerClass } from '../resources/match-server-class.ts';
import { unfitness } from './allocate-fitness.ts';
import { ServerPool } from './allocate-pool.ts';
import type { StageContext } from './context.ts';

/** Who a claim is: a MetalMachine of the same name that was made anew is another one. */
export function claimantOf({ namespace, name, uid }: { readonly namespace?: string; readonly name?: string; readonly uid?: string }): string {
  return [namespace, name, uid].join('/');
}

/** Whether a Server is of a class, once it is accepted and not cordoned: those are counted apart. @throws SIDERO_SERVER_CLASS_INVALID */
export function membership(serverClass: ServerClass): (server: Server) => boolean {
  const matches = matchServerClass(serverClass);
  return (server) => matches({ ...server, spec: { ...server.spec, accepted: true, cordoned: false } });
}

interface Known {
  readonly spec: ServerClass['spec'];
  readonly pool: ServerPool;
}

/** The pools of all classes that were ever asked for, kept by watching from the first question on. */
export class ServerPools {
  readonly #context: Pick<StageContext, 'resources' | 'installation'>;
  readonly #servers = new Map<string, Server>();
  /** Name of the Server to who has it. */
  readonly #bound = new Map<string, string>();
  /** The other way round. */
  readonly #claimants = new Map<string, string>();
  readonly #pools = new Map<string, Known>();
  #installation: string | undefined;
  #isWatching = false;
  #start: Promise<void> | undefined;

  constructor(context: Pick<StageContext, 'resources' | 'installation'>) {
    this.#context = context;
  }

  /** The Server that is bound to a claimant. */
  async heldBy(claimant: string): Promise<string | undefined> {
    await this.#started();
    return this.#claimants.get(claimant);
  }

  /** A Server as it was last told. */
  server(name: string): Server | undefined {
    return this.#servers.get(name);
  }

  isBound(name: string): boolean {
    return this.#bound.has(name);
  }

  /** Resolves when there is anything to know; asks nothing the second time. */
  async of(serverClass: ServerClass): Promise<ServerPool> {
    await this.#started();
    const { name } = serverClass.metadata;
    const known = this.#pools.get(name);
    if (known && isDeepStrictEqual(known.spec, serverClass.spec)) return known.pool;
    const pool = new ServerPool(membership(serverClass));
    for (const server of this.#servers.values()) pool.put(server, this.#reason(server));
    this.#pools.set(name, { spec: serverClass.spec, pool });
    return pool;
  }

  /** The API says that there is no such Server. */
  forget(name: string): void {
    this.#servers.delete(name);
    for (const { pool } of this.#pools.values()) pool.drop(name);
  }

  // A failure is not kept: the next claim tries again.
  #started(): Promise<void> {
    this.#start ??= this.#begin().catch((thrown: unknown) => {
      this.#start = undefined;
      throw thrown;
    });
    return this.#start;
  }

  async #begin(): Promise<void> {
    const { resources, installation } = this.#context;
    this.#installation = await installation();
    if (!this.#isWatching) this.#watch();
    // Where the caches are whole the watch has told it all by now; where they are not yet, the API tells it.
    const [bindings, servers] = await Promise.all([resources.list(ServerBindingKind), resources.list(ServerKind)]);
    for (const binding of bindings) if (!this.#bound.has(binding.metadata.name)) this.#bind(binding);
    for (const server of servers) if (!this.#servers.has(server.metadata.name)) this.#put(server);
  }

  #watch(): void {
    this.#isWatching = true;
    const { resources } = this.#context;
    // As long as the client.
    const { signal } = new AbortController();
    void resources.watch(ServerBindingKind, ({ type, object }) => (type === 'removed' ? this.#release(object) : this.#bind(object)), signal);
    void resources.watch(ServerKind, ({ type, object }) => (type === 'removed' ? this.forget(object.metadata.name) : this.#put(object)), signal);
  }

  #put(server: Server): void {
    this.#servers.set(server.metadata.name, server);
    const reason = this.#reason(server);
    for (const { pool } of this.#pools.values()) pool.put(server, reason);
  }

  #bind(binding: ServerBinding): void {
    const { name } = binding.metadata;
    const claimant = claimantOf(binding.spec?.metalMachineRef ?? {});
    if (this.#bound.get(name) === claimant) return;
    this.#bound.set(name, claimant);
    this.#claimants.set(claimant, name);
    this.#again(name);
  }

  #release({ metadata: { name } }: ServerBinding): void {
    const claimant = this.#bound.get(name);
    this.#bound.delete(name);
    if (claimant !== undefined && this.#claimants.get(claimant) === name) this.#claimants.delete(claimant);
    this.#again(name);
  }

  #again(name: string): void {
    const server = this.#servers.get(name);
    if (server) this.#put(server);
  }

  #reason(server: Server): string | undefined {
    return unfitness(server, { isBound: this.#bound.has(server.metadata.name), installation: this.#installation });
  }
}

/** Whether a ServerBinding is the claim's. */
export function isOf(binding: ServerBinding, claim: Claim): boolean {
  return !binding.metadata.deletionTimestamp && claimantOf(binding.spec?.metalMachineRef ?? {}) === claimantOf(claim);
}
