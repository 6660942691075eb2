import {
  type Candidate,
  type Claim,
  matchServerClass,
  type ResourceClient,
  type Selection,
  type Server,
  ServerBindingKind,
  ServerClassKind,
  ServerKind,
} from '@sidero/core';
import { groupOf, PLACED_FOR_ANNOTATION } from './group.ts';
import { GroupDomains } from './group-domains.ts';
import { order, pack, type Rule, type Share, spread, sticky } from './scores.ts';

const PLACED = 'placement-placed-for';
const USED = 'placement-used';

/** Options of the plugin, with their defaults. */
export interface Weights {
  readonly spread: number;
  readonly spreadBy: string;
  readonly sticky: number;
  readonly pack: number;
  readonly packBy: string;
  readonly order: number;
  readonly orderBy?: string | undefined;
}

interface Weighted {
  readonly name: string;
  readonly weight: number;
  readonly rule: Rule;
}

/** The rules over one system. */
export class Placement {
  readonly #resources: ResourceClient;
  readonly #weights: Weights;
  readonly #domains: GroupDomains;

  /** Declares the indexes it asks. */
  constructor(resources: ResourceClient, weights: Weights) {
    this.#resources = resources;
    this.#weights = weights;
    this.#domains = new GroupDomains(resources, weights.spreadBy);
    if (weights.sticky > 0)
      resources.index(ServerKind, PLACED, ({ metadata, status }: Server) => {
        const group = metadata.annotations?.[PLACED_FOR_ANNOTATION];
        return group && status?.isClean && !status.inUse ? [group] : [];
      });
    if (weights.pack > 0) resources.index(ServerKind, USED, ({ status }: Server) => (status?.inUse ? ['yes'] : []));
  }

  /** The selection with the scores of all rules added. */
  async score(selection: Selection): Promise<Selection> {
    const candidates = [...selection.candidates, ...(await this.#comingBack(selection))];
    const servers = candidates.map(({ server }) => server);
    let scored: readonly Candidate[] = candidates;
    for (const { name, weight, rule } of await this.#rules(selection)) {
      const shares = rule(servers);
      scored = scored.map((candidate, index) => added(candidate, { name, weight, share: shares[index]! }));
    }
    return { ...selection, candidates: scored };
  }

  async #rules(selection: Selection): Promise<readonly Weighted[]> {
    const { claim } = selection;
    const weights = this.#weights;
    const group = groupOf(claim);
    const rules: Weighted[] = [];
    // A failure domain that is demanded leaves nothing to be spread.
    if (weights.spread > 0 && group && !claim.failureDomain)
      rules.push({ name: 'spread', weight: weights.spread, rule: spread(weights.spreadBy, await this.#peers(selection, group)) });
    if (weights.sticky > 0 && group) rules.push({ name: 'sticky', weight: weights.sticky, rule: sticky((server) => wasPlacedFor(server, group)) });
    if (weights.pack > 0) rules.push({ name: 'pack', weight: weights.pack, rule: pack(weights.packBy, await this.#used(selection)) });
    if (weights.order > 0 && weights.orderBy !== undefined) rules.push({ name: 'order', weight: weights.order, rule: order(weights.orderBy) });
    return rules;
  }

  /** Where the machines of a group are, with those that are just being given to it. */
  #peers({ pending }: Selection, group: string): ReturnType<GroupDomains['counts']> {
    return this.#domains.counts(
      group,
      pending.filter(({ claim }) => groupOf(claim) === group).map(({ server }) => server),
    );
  }

  async #used({ pending }: Selection): Promise<readonly Server[]> {
    return unique([...(await this.#resources.find(ServerKind, USED, 'yes')), ...pending.map(({ server }) => server)]);
  }

  /** Servers that the group had before and that are free again, where the window of a large fleet lacks them. */
  async #comingBack({ claim, candidates, rejected, pending }: Selection): Promise<readonly Candidate[]> {
    const group = groupOf(claim);
    if (this.#weights.sticky === 0 || !group || claim.server !== undefined) return [];
    const placed = await this.#resources.find(ServerKind, PLACED, group);
    const known = new Set([...candidates, ...rejected, ...pending].map(({ server }) => server.metadata.name));
    const others = placed.filter((server) => !known.has(server.metadata.name));
    if (others.length === 0) return [];
    const isWanted = await this.#demand(claim);
    // Its status tells only later that it is in use.
    const bindings = await Promise.all(others.map(({ metadata: { name } }) => this.#resources.get(ServerBindingKind, { name })));
    return others.filter((server, index) => !bindings[index] && isWanted(server)).map((server) => ({ server, score: 0, notes: [] }));
  }

  async #demand({ serverClass = '', failureDomain }: Claim): Promise<(server: Server) => boolean> {
    const found = await this.#resources.get(ServerClassKind, { name: serverClass });
    const isMember = found ? matchServerClass(found) : () => false;
    const isThere = ({ metadata }: Server) => !failureDomain || metadata.labels?.['topology.kubernetes.io/zone'] === failureDomain;
    return (server) => isThere(server) && isMember(server);
  }
}

function wasPlacedFor({ metadata }: Server, group: string): boolean {
  return metadata.annotations?.[PLACED_FOR_ANNOTATION] === group;
}

function added(candidate: Candidate, { name, weight, share }: { name: string; weight: number; share: Share }): Candidate {
  const points = Math.round(share.share * weight * 100) / 100;
  const notes = share.why ? [...candidate.notes, `${name} +${points}: ${share.why}`] : candidate.notes;
  return { ...candidate, score: candidate.score + points, notes };
}

function unique(servers: readonly Server[]): readonly Server[] {
  return [...new Map(servers.map((server) => [server.metadata.name, server])).values()];
}
