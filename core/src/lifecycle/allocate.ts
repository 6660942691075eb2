import { failure, hasCode } from '../errors.ts';
import type { Claim, Selection } from '../hooks.ts';
import { type Server, type ServerBinding, ServerBindingKind, ServerClassKind, ServerKind } from '../resources/kinds.ts';
import type { StageContext } from './context.ts';

/** Gives a claim a server: the first candidate whose ServerBinding can be created wins, the API decides races. */
export async function allocate(context: StageContext, claim: Claim): Promise<ServerBinding> {
  const { hooks, resources } = context;
  const members = await candidatesOf(context, claim);
  const rejected = members.flatMap((server) => {
    const reason = unfit(server) ?? elsewhere(server, claim);
    return reason ? [{ server, plugin: 'core', reason }] : [];
  });
  const refused = new Set(rejected.map(({ server }) => server));
  const candidates = members.filter((server) => !refused.has(server)).map((server) => ({ server, score: 0, notes: [] }));
  const selection: Selection = await hooks.allocate.promise({ claim, candidates, rejected });
  for (const { server } of [...selection.candidates].sort((a, b) => b.score - a.score)) {
    try {
      return await resources.create(ServerBindingKind, bindingFor(server, claim));
    } catch (thrown) {
      if (!hasCode(thrown, 'SIDERO_RESOURCE_EXISTS')) throw thrown;
    }
  }
  const why = selection.rejected.map(({ server, reason }) => `${server.metadata.name}: ${reason}`).slice(0, 5);
  throw failure('SIDERO_ALLOCATE_NONE', { claim: `${claim.namespace}/${claim.name}`, why: why.join('; ') || 'no server belongs to its class' });
}

async function candidatesOf({ resources }: StageContext, claim: Claim): Promise<readonly Server[]> {
  if (claim.server !== undefined) {
    const server = await resources.get(ServerKind, { name: claim.server });
    return server ? [server] : [];
  }
  const serverClass = await resources.get(ServerClassKind, { name: claim.serverClass ?? '' });
  const available = serverClass?.status?.serversAvailable ?? [];
  const servers = await Promise.all(available.map((name) => resources.get(ServerKind, { name })));
  return servers.filter((server) => server !== undefined);
}

function unfit(server: Server): string | undefined {
  if (!server.spec?.accepted) return 'it is not accepted';
  if (server.spec.cordoned) return 'it is cordoned';
  if (server.status?.inUse) return 'it is in use';
  if (!server.status?.isClean) return 'it is not clean';
  return server.metadata.deletionTimestamp ? 'it is being deleted' : undefined;
}

const ZONE_LABEL = 'topology.kubernetes.io/zone';

function elsewhere({ metadata }: Server, { failureDomain }: Claim): string | undefined {
  if (!failureDomain || metadata.labels?.[ZONE_LABEL] === failureDomain) return undefined;
  return `it is not in failure domain ${failureDomain}`;
}

function bindingFor(server: Server, claim: Claim): ServerBinding {
  return {
    apiVersion: ServerBindingKind.apiVersion,
    kind: ServerBindingKind.kind,
    metadata: { name: server.metadata.name, ...(claim.labels && { labels: { ...claim.labels } }) },
    spec: {
      metalMachineRef: { kind: 'MetalMachine', namespace: claim.namespace, name: claim.name, ...(claim.uid !== undefined && { uid: claim.uid }) },
      ...(claim.serverClass === undefined
        ? {}
        : { serverClassRef: { apiVersion: ServerClassKind.apiVersion, kind: ServerClassKind.kind, name: claim.serverClass } }),
    },
  } as ServerBinding;
}
