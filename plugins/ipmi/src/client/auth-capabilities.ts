import { COMMAND } from '../wire/commands.ts';
import { PRIVILEGE } from '../wire/rakp.ts';
import { type AuthCapabilities, decodeAuthCapabilities, encodeAuthCapabilitiesRequest, THIS_CHANNEL } from '../wire/session-commands.ts';
import { bmcFailure, understood } from './bmc-failure.ts';
import type { Exchange } from './exchange.ts';
import type { SessionTerms } from './session.ts';
import { askSessionless } from './sessionless.ts';

/** What is asked before a session is opened. */
export interface CapabilitiesQuestion {
  readonly terms: SessionTerms;
  /** Whether IPMI 2.0 is of interest. */
  readonly isExtended: boolean;
  readonly signal: AbortSignal;
}

/**
 * What the BMC offers to logins; undefined when it does not tell. The first question to it, so the one that finds it silent.
 * @throws SIDERO_BMC_UNREACHABLE
 */
export async function authCapabilities(
  exchange: Exchange,
  { terms, isExtended, signal }: CapabilitiesQuestion,
): Promise<AuthCapabilities | undefined> {
  const { subject, firstWaitsMs: waitsMs = terms.waitsMs } = terms;
  const data = encodeAuthCapabilitiesRequest({ channel: THIS_CHANNEL, privilege: PRIVILEGE[terms.privilege], isExtended });
  const response = await askSessionless(exchange, { command: COMMAND.getAuthCapabilities, data, waitsMs, signal });
  if (!response) throw bmcFailure(subject, 'SIDERO_BMC_UNREACHABLE', exchange.silence(waitsMs));
  return response.completionCode === 0 ? understood(subject, 'capabilities', () => decodeAuthCapabilities(response.data)) : undefined;
}
