import { failure, hasCode } from '../errors.ts';
import type { AllocationExplained, Candidate, Claim, Rejection, Selection } from '../hooks.ts';
import { type Server, type ServerBinding, ServerBindingKind, type ServerClass, ServerClassKind, ServerKind } from '../resources/kinds.ts';
import { explainAllocation } from './allocate-explain.ts';
import { elsewhere, unfitness } from './allocate-fitness.ts';
import type { ServerPool } from './allocate-pool.ts';
import { claimantOf, isOf, membership, ServerPools } from './allocate-pools.ts';
import { whyNoClass, whyNone } from './allocate-why-none.ts';
import type { StageContext } from './context.ts';

/** How much of a class is looked at for one claim. */
export interface SearchLimits {
  /** So many candidates are scored at once. */
  readonly window: number;
  /** So many windows there are; the next claim goes on behind them. */
  readonly windows: number;
}

const LIMITS: SearchLimits = { window: 128, windows: 8 };

/** The stage of the hook `allocate`. */
export interface AllocateStage {
  allocate(claim: Claim): Promise<ServerBinding>;
  explain(claim: Claim): Promise<AllocationExplained>;
}

/** What is known of one claim while a server is looked for. */
interface Search {
  readonly claim: Claim;
  readonly serverClass: ServerClass | undefined;
  /** Who may have it, whatever state it is in. */
  readonly isMember: (server: Server) => boolean;
  readonly rejected: Rejection[];
}

/** The stage over one system. */
export function createAllocateStage(context: StageContext, limits = LIMITS): AllocateStage {
  const desk = new AllocationDesk(context, limits);
  return { allocate: (claim) => desk.allocate(claim), explain: (claim) => explainAllocation(context, claim) };
}

/**
 * Gives claims their servers. Reserving is creating the ServerBinding, which has the Server's name: the API decides races between
 * replicas. Within this process a server is offered to one claim at a time, so that claims that come together do not all try the same one.
 */
class AllocationDesk {
  readonly #context: StageContext;
  readonly #limits: SearchLimits;
  readonly #pools: ServerPools;
  readonly #count: (labels: { readonly result: string }) => void;
  readonly #pending = new Map<string, { readonly server: Server; readonly claim: Claim }>();
  /** One answer for a claim that is asked twice at once. */
  readonly #underWay = new Map<string, Promise<ServerBinding>>();
  /** Servers for whose ServerBinding no answer came: it may be there. */
  readonly #doubts = new Map<string, string>();

  constructor(context: StageContext, limits: SearchLimits) {
    this.#context = context;
    this.#limits = limits;
    this.#pools = new ServerPools(context);
    this.#count = context.metrics.counter('sidero_allocations_total', 'Claims of servers, and how they ended.', ['result']);
  }

  allocate(claim: Claim): Promise<ServerBinding> {
    const claimant = claimantOf(claim);
    const known = this.#underWay.get(claimant);
    if (known) return known;
    const work = this.#allocate(claim).finally(() => this.#underWay.delete(claimant));
    this.#underWay.set(claimant, work);
    return work;
  }

  async #allocate(claim: Claim): Promise<ServerBinding> {
    const held = await this.#held(claim);
    if (held) return held;
    try {
      const binding = await (claim.server === undefined ? this.#fromClass(claim) : this.#named(claim, claim.server));
      this.#count({ result: 'taken' });
      return binding;
    } catch (thrown) {
      this.#count({ result: hasCode(thrown, 'SIDERO_ALLOCATE_NONE') ? 'none' : 'failed' });
      throw thrown;
    }
  }

  // What an earlier call made is the answer, also when its own answer was lost.
  async #held(claim: Claim): Promise<ServerBinding | undefined> {
    const claimant = claimantOf(claim);
    const doubt = this.#doubts.get(claimant);
    const name = (await this.#pools.heldBy(claimant)) ?? doubt;
    if (name === undefined || (claim.server !== undefined && claim.server !== name)) return undefined;
    const binding = await this.#context.resources.get(ServerBindingKind, { name }, { live: true });
    this.#doubts.delete(claimant);
    return binding && isOf(binding, claim) ? binding : undefined;
  }

  async #named(claim: Claim, name: string): Promise<ServerBinding> {
    const { resources } = this.#context;
    const serverClass = claim.serverClass === undefined ? undefined : await resources.get(ServerClassKind, { name: claim.serverClass });
    const search: Search = { claim, serverClass, isMember: () => true, rejected: [] };
    const server = await resources.get(ServerKind, { name });
    if (!server) throw none(claim, `there is no Server ${name}`);
    const why = this.#reasonAgainst(server, search);
    const start: Selection = why
      ? { claim, candidates: [], rejected: [{ server, plugin: 'core', reason: why }], pending: [] }
      : { claim, candidates: [{ server, score: 0, notes: [] }], rejected: [], pending: [...this.#pending.values()] };
    const selection = await this.#context.hooks.allocate.promise(start);
    search.rejected.push(...selection.rejected);
    const chosen = selection.candidates.find((candidate) => candidate.server.metadata.name === name);
    const binding = chosen && this.#reserve(chosen, claim) ? await this.#take(chosen, search) : undefined;
    if (binding) return binding;
    const reason = search.rejected.find((rejection) => rejection.server.metadata.name === name)?.reason ?? 'being taken by another MetalMachine';
    throw none(claim, `Server ${name} is ${reason}`);
  }

  async #fromClass(claim: Claim): Promise<ServerBinding> {
    const name = claim.serverClass ?? '';
    const serverClass = await this.#context.resources.get(ServerClassKind, { name });
    if (!serverClass) throw none(claim, whyNoClass(name));
    const search: Search = { claim, serverClass, isMember: membership(serverClass), rejected: [] };
    const pool = await this.#pools.of(serverClass);
    const seen = new Set<string>();
    for (let count = 0; count < this.#limits.windows; count++) {
      const ranked = await pool.inTurn(() => this.#rank(search, { pool, seen }));
      if (!ranked) throw none(claim, whyNone({ claim, pool, rejected: search.rejected, isWhole: true }));
      const binding = await this.#firstOf(ranked, search);
      if (binding) return binding;
    }
    pool.goOnBehind([...seen].at(-1)!);
    throw none(claim, whyNone({ claim, pool, rejected: search.rejected, isWhole: false }));
  }

  /** The next window, best first, its best one reserved: whoever is ranked next sees it as pending. Undefined when all were seen. */
  async #rank({ claim, rejected }: Search, { pool, seen }: { pool: ServerPool; seen: Set<string> }): Promise<readonly Candidate[] | undefined> {
    const isLeftOut = (name: string) => seen.has(name) || this.#pending.has(name);
    const names = pool.window({ size: this.#limits.window, zone: claim.failureDomain || undefined, isLeftOut });
    if (names.length === 0) return undefined;
    for (const name of names) seen.add(name);
    const servers = names.flatMap((name) => this.#pools.server(name) ?? []);
    const candidates = servers.map((server) => ({ server, score: 0, notes: [] }));
    const selection = await this.#context.hooks.allocate.promise({ claim, candidates, rejected: [], pending: [...this.#pending.values()] });
    rejected.push(...selection.rejected);
    const ranked = selection.candidates.toSorted((a, b) => b.score - a.score);
    const first = ranked.findIndex((candidate) => this.#reserve(candidate, claim));
    return first < 0 ? [] : ranked.slice(first);
  }

  async #firstOf([first, ...others]: readonly Candidate[], search: Search): Promise<ServerBinding | undefined> {
    const binding = first && (await this.#take(first, search));
    if (binding) return binding;
    for (const candidate of others) {
      const taken = this.#reserve(candidate, search.claim) ? await this.#take(candidate, search) : undefined;
      if (taken) return taken;
    }
    return undefined;
  }

  #reserve({ server }: Candidate, claim: Claim): boolean {
    const { name } = server.metadata;
    if (this.#pending.has(name) || this.#pools.isBound(name)) return false;
    this.#pending.set(name, { server, claim });
    return true;
  }

  /** Takes a reserved server, if it is still as it should be. */
  async #take({ server: { metadata } }: Candidate, search: Search): Promise<ServerBinding | undefined> {
    const { name } = metadata;
    try {
      const server = await this.#context.resources.get(ServerKind, { name }, { live: true });
      if (!server) this.#pools.forget(name);
      const reason = server && this.#reasonAgainst(server, search, await this.#context.installation());
      if (!server || reason) {
        if (server && reason) search.rejected.push({ server, plugin: 'core', reason });
        return undefined;
      }
      return await this.#bind(server, search);
    } finally {
      this.#pending.delete(name);
    }
  }

  async #bind(server: Server, { claim, serverClass, rejected }: Search): Promise<ServerBinding | undefined> {
    const { resources } = this.#context;
    const { name } = server.metadata;
    try {
      return await resources.create(ServerBindingKind, bindingFor(server, claim, serverClass));
    } catch (thrown) {
      if (!hasCode(thrown, 'SIDERO_RESOURCE_EXISTS')) {
        this.#doubts.set(claimantOf(claim), name);
        throw thrown;
      }
    }
    const there = await resources.get(ServerBindingKind, { name }, { live: true });
    if (there && isOf(there, claim)) return there;
    rejected.push({ server, plugin: 'core', reason: 'in use' });
    return undefined;
  }

  // Whoever names a Server claims it from another installation too.
  #reasonAgainst(server: Server, { claim, isMember }: Search, us?: string): string | undefined {
    const installation = claim.server === undefined ? us : undefined;
    const isBound = this.#pools.isBound(server.metadata.name);
    if (!isMember(server)) return `not in ServerClass ${claim.serverClass}`;
    return unfitness(server, { isBound, installation }) ?? elsewhere(server, claim);
  }
}

function none(claim: Claim, why: string): Error {
  return failure('SIDERO_ALLOCATE_NONE', { claim: `${claim.namespace}/${claim.name}`, why });
}

function bindingFor(server: Server, claim: Claim, serverClass: ServerClass | undefined): ServerBinding {
  const { namespace, name, uid, labels, annotations } = claim;
  return {
    apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
    kind: 'ServerBinding',
    metadata: { name: server.metadata.name, ...(labels && { labels: { ...labels } }), ...(annotations && { annotations: { ...annotations } }) },
    spec: {
      metalMachineRef: { kind: 'MetalMachine', namespace, name, ...(uid !== undefined && { uid }) },
      ...(claim.serverClass !== undefined && { serverClassRef: classRef(claim.serverClass, serverClass) }),
    },
  };
}

// In full, as the original writes it; a class that is gone still has its name.
function classRef(name: string, serverClass: ServerClass | undefined): NonNullable<ServerBinding['spec']>['serverClassRef'] & {} {
  const { apiVersion, kind } = ServerClassKind;
  const { uid, resourceVersion } = serverClass?.metadata ?? {};
  return { apiVersion, kind, name, ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) };
}
