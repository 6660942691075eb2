import { failure } from '../errors.ts';
import type { AllocationExplained, Claim, Rejection, Selection } from '../hooks.ts';
import { type Server, ServerBindingKind, ServerClassKind, ServerKind } from '../resources/kinds.ts';
import { elsewhere, unfitness } from './allocate-fitness.ts';
import { isOf, membership } from './allocate-pools.ts';
import { whyNoClass } from './allocate-why-none.ts';
import type { StageContext } from './context.ts';

/** What `allocate` would do for a claim, over all Servers at once; takes none. @throws SIDERO_ALLOCATE_NONE, SIDERO_SERVER_CLASS_INVALID */
export async function explainAllocation(context: StageContext, claim: Claim): Promise<AllocationExplained> {
  const { resources, hooks } = context;
  const [servers, bindings] = await Promise.all([resources.list(ServerKind), resources.list(ServerBindingKind)]);
  const isMember = await demandOf(context, claim);
  const held = bindings.find((binding) => isOf(binding, claim))?.metadata.name;
  const bound = new Set(bindings.map(({ metadata }) => metadata.name));
  const installation = claim.server === undefined ? await context.installation() : undefined;
  const others = servers.filter(({ metadata }) => metadata.name !== held);
  const reasonAgainst = (server: Server) =>
    isMember(server) ?? unfitness(server, { isBound: bound.has(server.metadata.name), installation }) ?? elsewhere(server, claim);
  const judged = others.map((server) => ({ server, plugin: 'core', reason: reasonAgainst(server) }));
  const candidates = judged.filter(({ reason }) => reason === undefined).map(({ server }) => ({ server, score: 0, notes: [] }));
  const rejected = judged.flatMap(({ reason, ...rest }) => (reason === undefined ? [] : [{ ...rest, reason }]));
  const start = { claim, candidates: candidates.toSorted(byName), rejected: rejected.toSorted(byName), pending: [] };
  const selection = await hooks.allocate.promise(start);
  // What a tap added is judged as everything else.
  const known = new Set(start.rejected.map(({ server }) => server.metadata.name)).add(held ?? '');
  const fit = selection.candidates.filter(({ server }) => !known.has(server.metadata.name) && reasonAgainst(server) === undefined);
  return {
    claim,
    taken: servers.find(({ metadata }) => metadata.name === held),
    candidates: fit.toSorted((a, b) => b.score - a.score),
    rejected: [...selection.rejected, ...leftOut(start, selection)],
  };
}

/** Why a Server is not what the claim asks for. */
async function demandOf({ resources }: StageContext, claim: Claim): Promise<(server: Server) => string | undefined> {
  const { server: wanted, serverClass: name = '' } = claim;
  if (wanted !== undefined) return ({ metadata }) => (metadata.name === wanted ? undefined : 'not the Server that is named');
  const serverClass = await resources.get(ServerClassKind, { name });
  if (!serverClass) throw failure('SIDERO_ALLOCATE_NONE', { claim: `${claim.namespace}/${claim.name}`, why: whyNoClass(name) });
  const matches = membership(serverClass);
  return (server) => (matches(server) ? undefined : `not in ServerClass ${name}`);
}

// A tap may drop a candidate without a word.
function leftOut(start: Selection, { candidates, rejected }: Selection): readonly Rejection[] {
  const told = new Set([...candidates, ...rejected].map(({ server }) => server.metadata.name));
  return start.candidates
    .filter(({ server }) => !told.has(server.metadata.name))
    .map(({ server }) => ({ server, plugin: 'a plugin', reason: 'left out without a reason' }));
}

function byName(a: { readonly server: Server }, b: { readonly server: Server }): number {
  return a.server.metadata.name < b.server.metadata.name ? -1 : 1;
}
