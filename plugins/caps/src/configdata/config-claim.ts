import type { MachineTokens, Server, ServerBinding, Site } from '@sidero/core';
import { isTrue } from '@sidero/core';
import type { Refusal } from './sources.ts';

/**
 * Annotation of bindings whose machines must show a token: `given` for those that we made, `shown` for others once their machine has shown it.
 * The original's bindings have none, nor have those that were lost and made again.
 */
export const TOKEN_ANNOTATION = 'metal.sidero.dev/boot-token';
/** Annotation of a binding: the address that last got the configuration, and when. */
export const TAKEN_ANNOTATION = 'metal.sidero.dev/config-taken';
/** Query key of the token. */
export const TOKEN_KEY = 'token';

/** Who asks for a configuration, and for what. */
export interface ConfigClaim {
  readonly binding: ServerBinding;
  readonly server: Server;
  readonly token: string;
  readonly address: string;
  /** The user wrote `talos.config=` into the Environment that this server boots. */
  readonly hasOwnArgument: boolean;
}

/** How a claim was judged: `proven` by its token, `open` without one, `unproven` where it should have shown one and none is demanded, or refused. */
export type ConfigVerdict = { readonly admitted: 'proven' | 'open' | 'unproven'; readonly why: string } | Refusal;

/** Whether a machine may have the configuration it asks for. */
export async function judgeClaim(tokens: MachineTokens, bootAuth: Site['bootAuth'], claim: ConfigClaim): Promise<ConfigVerdict> {
  const { binding, token } = claim;
  const { namespace = '', name = '' } = binding.spec?.metalMachineRef ?? {};
  const bound = { uuid: binding.metadata.name, metalMachine: { namespace, name } };
  if (token !== '' && (await tokens.check('config', bound, token))) {
    const refusal = secondTaker(claim);
    if (!refusal) return { admitted: 'proven', why: 'it showed its token' };
    return bootAuth === 'require' ? refusal : { admitted: 'unproven', why: refusal.text };
  }
  if (token === '' && claim.hasOwnArgument) return { admitted: 'open', why: 'its Environment has talos.config= of its own' };
  if (token === '' && !binding.metadata.annotations?.[TOKEN_ANNOTATION]) return { admitted: 'open', why: 'its ServerBinding is from before tokens' };
  const why = token === '' ? 'it showed no token' : 'its token is not the one of this machine';
  if (bootAuth !== 'require') return { admitted: 'unproven', why };
  const next = 'network-boot it, which gives it its token, if this is the machine itself; else somebody else asks for its configuration';
  return { status: token === '' ? 401 : 403, text: `the configuration of ${bound.uuid} is not given out: ${why}`, next };
}

/** Once Talos runs with it, nobody at another address gets the configuration any more. */
function secondTaker({ binding, server, address }: ConfigClaim): Refusal | undefined {
  const taken = takenBy(binding);
  if (!taken || taken.address === address || !isTrue(binding.status?.conditions, 'TalosConfigLoaded')) return undefined;
  const own = [...(server.status?.addresses ?? []).map(({ address: known }) => known), ...(binding.spec?.addresses ?? [])];
  if (own.includes(address) || server.status?.boot?.address === address) return undefined;
  const text = `the configuration of ${binding.metadata.name} was taken by ${taken.address} at ${taken.at}, and is in use`;
  return {
    status: 403,
    text,
    next: `if ${address} is the machine itself, delete its Machine to have it installed anew; else somebody else has its token`,
  };
}

/** Who got the configuration last. */
export function takenBy({ metadata }: ServerBinding): { readonly address: string; readonly at: string } | undefined {
  const [address, at] = (metadata.annotations?.[TAKEN_ANNOTATION] ?? '').split(' ');
  return address && at ? { address, at } : undefined;
}
