import type { BootPlan, BootRequest } from '../hooks.ts';
import { type Server, ServerKind } from '../resources/kinds.ts';
import { TOKEN_LIFETIME_MS } from './boot-auth.ts';
import type { StageContext } from './context.ts';
import { createRateLimit } from './rate-limit.ts';
import { problemOfUuid } from './uuid.ts';

/** The kernel argument that carries the agent's token. */
export const TOKEN_ARGUMENT = 'sidero.token';
/** A machine that asks again this soon, and has not reported yet, is still in the same boot. */
const SAME_BOOT_MS = 60_000;

type AgentPlan = Extract<BootPlan, { target: 'agent' | 'environment' }>;

/** Puts the token of a new boot on the agent's command line, and writes down which boot of a known Server holds it. */
export function createTokenDesk(context: StageContext): (plan: AgentPlan, request: BootRequest, server: Server | undefined) => Promise<BootPlan> {
  // By uuid, and all machines together: sources are not real behind a Service.
  const perServer = createRateLimit({ perSecond: 0.5, burst: 10, keys: 50_000 });
  const everybody = createRateLimit({ perSecond: 500, burst: 5000, keys: 1 });
  const refused = context.metrics.counter('sidero_boot_token_withheld_total', 'Network boots that were given no agent token.', ['reason']);

  return async (plan, request, server) => {
    if (problemOfUuid(request.uuid)) return plan;
    if (!everybody.take('') || !perServer.take(request.uuid)) {
      refused({ reason: 'rate' });
      return { target: 'wait', status: 429, reason: 'too many network boots were asked for' };
    }
    const mint = await context.mint();
    const sign = (bootId: string): BootPlan => ({
      ...plan,
      args: [...plan.args, `${TOKEN_ARGUMENT}=${mint.sign(request.uuid, bootId, context.now())}`],
    });
    if (!server) return sign(mint.newBootId());

    const standing = standingOf(server, request, context.now());
    if (standing === 'taken') {
      refused({ reason: 'second-address' });
      await reportSecondAddress(context, request, server);
      return { target: 'wait', status: 429, reason: `another machine at ${server.status?.boot?.address} is booting as this server` };
    }
    if (standing === 'same') return sign(server.status!.boot!.id!);
    const id = mint.newBootId();
    const handedAt = `${context.now().toISOString().slice(0, 19)}Z`;
    await context.resources.change(ServerKind, { name: request.uuid }, (draft) => {
      draft.status = { ...draft.status, boot: { id, address: request.address, mac: request.mac, handedAt } };
    });
    return sign(id);
  };
}

/**
 * Whether a machine that asks is in the boot that was recorded (`same`), begins another (`new`), or is a second taker of one that lives (`taken`).
 * The same machine may come back at once with another address, or by its other port, so its MACs speak for it too. What it reports itself may come
 * without one: behind a Service it has the address of a node.
 */
export function standingOf(server: Server, request: { address: string; mac: string }, now: Date): 'same' | 'new' | 'taken' {
  const boot = server.status?.boot;
  if (!boot?.id) return 'new';
  const since = (time: string | undefined) => (time ? now.getTime() - Date.parse(time) : Number.POSITIVE_INFINITY);
  const isItself = boot.address === request.address || (request.mac !== '' && macsOf(server).has(request.mac.toLowerCase()));
  if (isItself) return !boot.seenAt && since(boot.handedAt) < SAME_BOOT_MS ? 'same' : 'new';
  return Math.min(since(boot.handedAt), since(boot.seenAt)) < TOKEN_LIFETIME_MS ? 'taken' : 'new';
}

function macsOf({ spec, status }: Server): ReadonlySet<string> {
  const known = [status?.boot?.mac, ...(spec?.hardware?.network?.interfaces ?? []).map(({ mac }) => mac)];
  return new Set(known.flatMap((mac) => mac?.toLowerCase() ?? []));
}

async function reportSecondAddress({ resources, log }: StageContext, request: BootRequest, server: Server): Promise<void> {
  const message = `A machine at ${request.address} asked to network-boot as this server while ${server.status?.boot?.address} does; it was given no token.`;
  log.warn({ server: request.uuid, address: request.address, first: server.status?.boot?.address }, 'second taker of a boot token refused');
  await resources.record(server, { type: 'Warning', reason: 'Server Boot', message });
}
