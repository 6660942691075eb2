import { type ResourceClient, type Server, type ServerBinding, ServerBindingKind, ServerKind } from '@sidero/core';
import { groupOf } from './group.ts';

/** How many servers there are in each domain. */
export type DomainCounts = ReadonlyMap<string, number>;

/** The domain of a server by a label; undefined without it. */
export function domainOf({ metadata }: Server, label: string): string | undefined {
  return metadata.labels?.[label] || undefined;
}

/** How many of these are in each domain. */
export function countBy(label: string, servers: readonly Server[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const server of servers) add(counts, domainOf(server, label), 1);
  return counts;
}

/** The servers of one group. */
interface Group {
  readonly names: Set<string>;
  readonly counts: Map<string, number>;
}

/**
 * Where the machines of each group are, kept by watching from the first question on: with a thousand machines in a group, a claim costs as much as
 * with three.
 */
export class GroupDomains {
  readonly #resources: ResourceClient;
  readonly #label: string;
  readonly #groups = new Map<string, Group>();
  /** Name of a server to the group that has it. */
  readonly #groupOf = new Map<string, string>();
  readonly #domains = new Map<string, string>();
  #start: Promise<void> | undefined;
  #isWatching = false;

  constructor(resources: ResourceClient, label: string) {
    this.#resources = resources;
    this.#label = label;
  }

  /** Where the servers of a group are, together with those that are coming to it. */
  async counts(group: string, coming: readonly Server[]): Promise<{ readonly counts: DomainCounts; readonly size: number }> {
    await this.#started();
    const { names, counts } = this.#groups.get(group) ?? { names: new Set<string>(), counts: new Map<string, number>() };
    const others = new Map(coming.filter(({ metadata }) => !names.has(metadata.name)).map((server) => [server.metadata.name, server]));
    if (others.size === 0) return { counts, size: names.size };
    const sum = new Map(counts);
    for (const server of others.values()) add(sum, domainOf(server, this.#label), 1);
    return { counts: sum, size: names.size + others.size };
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
    if (!this.#isWatching) this.#watch();
    // Where the caches are whole the watch has told it all by now; where they are not yet, the API tells it.
    const [servers, bindings] = await Promise.all([this.#resources.list(ServerKind), this.#resources.list(ServerBindingKind)]);
    for (const server of servers) if (!this.#domains.has(server.metadata.name)) this.#put(server);
    for (const binding of bindings) if (!this.#groupOf.has(binding.metadata.name)) this.#bind(binding);
  }

  #watch(): void {
    this.#isWatching = true;
    // As long as the client.
    const { signal } = new AbortController();
    const removed = 'removed';
    void this.#resources.watch(ServerKind, ({ type, object }) => (type === removed ? this.#move(object.metadata.name) : this.#put(object)), signal);
    void this.#resources.watch(
      ServerBindingKind,
      ({ type, object }) => (type === removed ? this.#release(object.metadata.name) : this.#bind(object)),
      signal,
    );
  }

  #put(server: Server): void {
    this.#move(server.metadata.name, domainOf(server, this.#label));
  }

  /** A server is in that domain from now on; undefined: in none that is known. */
  #move(name: string, domain?: string): void {
    const before = this.#domains.get(name);
    if (before === domain) return;
    if (domain === undefined) this.#domains.delete(name);
    else this.#domains.set(name, domain);
    const group = this.#groups.get(this.#groupOf.get(name) ?? '');
    if (!group) return;
    add(group.counts, before, -1);
    add(group.counts, domain, 1);
  }

  #bind({ metadata: { name, labels }, spec }: ServerBinding): void {
    const key = groupOf({ namespace: spec?.metalMachineRef?.namespace, labels });
    if (this.#groupOf.get(name) === key) return;
    this.#release(name);
    if (key === undefined) return;
    const group = this.#groups.get(key) ?? { names: new Set(), counts: new Map() };
    this.#groups.set(key, group);
    this.#groupOf.set(name, key);
    group.names.add(name);
    add(group.counts, this.#domains.get(name), 1);
  }

  #release(name: string): void {
    const key = this.#groupOf.get(name);
    const group = key === undefined ? undefined : this.#groups.get(key);
    if (key === undefined || !group) return;
    this.#groupOf.delete(name);
    group.names.delete(name);
    add(group.counts, this.#domains.get(name), -1);
    if (group.names.size === 0) this.#groups.delete(key);
  }
}

function add(counts: Map<string, number>, domain: string | undefined, by: 1 | -1): void {
  if (domain === undefined) return;
  const count = (counts.get(domain) ?? 0) + by;
  if (count > 0) counts.set(domain, count);
  else counts.delete(domain);
}
