import { failure } from '../errors.ts';
import { ServerKind } from '../resources/kinds.ts';
import type { StageContext } from './context.ts';
import type { BootPass } from './index.ts';

/** Why a token is not taken when another boot was written down since it was handed out. */
export const EARLIER_BOOT = 'its boot token is of an earlier boot';

/** Checks a machine's boot token against the record of the boot it was handed to. */
export async function admit(context: StageContext, claim: { uuid: string; token: string | undefined; address: string }): Promise<BootPass> {
  const { site, log, metrics, stream, now } = context;
  const verdict = await judge(context, claim);
  if (verdict.valid) return { uuid: claim.uuid, bootId: verdict.bootId, proven: true };

  const { uuid, address } = claim;
  metrics.counter('sidero_boot_token_refused_total', 'Calls of machines without a valid boot token.', ['mode'])({ mode: site.bootAuth });
  if (site.bootAuth !== 'off') log.warn({ server: uuid, address, why: verdict.why, bootAuth: site.bootAuth }, 'boot token not valid');
  if (site.bootAuth === 'require') {
    stream({ type: 'refused', uuid, detail: verdict.why, at: now() });
    throw failure('SIDERO_BOOT_TOKEN_INVALID', { uuid, address, why: verdict.why });
  }
  return { uuid, bootId: '', proven: false };
}

async function judge(context: StageContext, claim: { uuid: string; token: string | undefined }) {
  const { mint, resources, now } = context;
  if (!claim.token) return { valid: false, why: 'it showed no boot token' } as const;
  const verdict = (await mint()).check(claim.uuid, claim.token, now());
  if (!verdict.valid) return verdict;
  const isCurrent = async (live: boolean) => {
    const server = await resources.get(ServerKind, { name: claim.uuid }, { live });
    return !server?.status?.boot || server.status.boot.id === verdict.bootId;
  };
  // The cache may not have seen the newest boot yet, so only the API itself can say no.
  if ((await isCurrent(false)) || (await isCurrent(true))) return verdict;
  return { valid: false, why: EARLIER_BOOT } as const;
}
