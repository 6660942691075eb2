import { appendMissing, type BootPlan, type ServerBinding, ServerBindingKind, type Sidero } from '@sidero/core';
import type { InstallationDesk } from './installation/installation.ts';
import { hostPort } from './installation/network.ts';
import type { SideroLinkOptions } from './plugin.ts';
import { API_ARGUMENT } from './provision/own-argument.ts';
import { JOIN_ANNOTATION, PIN_ANNOTATION } from './provision/provision-claim.ts';

const KERNEL_LOG_ARGUMENT = 'talos.logging.kernel=';
const EVENTS_ARGUMENT = 'talos.events.sink=';

/** What machines are told of SideroLink: where to join, where kernel logs and events go. `join` has no scheme. */
export interface LinkAddresses {
  readonly join: string;
  readonly kernelLog: string;
  readonly events: string;
}

/** The addresses for one bound machine, with its token. @throws SIDERO_SIDEROLINK_UNKNOWN_YET, SIDERO_SIDEROLINK_SECRET_INVALID */
export async function addressesFor(
  { site, tokens }: Pick<Sidero, 'site' | 'tokens'>,
  binding: ServerBinding,
  { desk, options }: { readonly desk: InstallationDesk; readonly options: SideroLinkOptions },
): Promise<LinkAddresses> {
  const { serverAddress } = await desk.ask();
  const { namespace = '', name = '' } = binding.spec?.metalMachineRef ?? {};
  const token = await tokens.sign('join', { uuid: binding.metadata.name, metalMachine: { namespace, name } });
  return {
    join: `${site.authority}?jointoken=${token}${options.transport === 'grpc' ? '&grpc_tunnel=true' : ''}`,
    kernelLog: `tcp://${hostPort(serverAddress, options.logPort)}`,
    events: hostPort(serverAddress, options.eventPort),
  };
}

/** Adds the arguments of SideroLink to what bound machines boot, each unless the user wrote one into the Environment. */
export function addBootArguments(sidero: Sidero, given: { readonly desk: InstallationDesk; readonly options: SideroLinkOptions }): void {
  sidero.hooks.boot.tapPromise('siderolink', async (plan, { uuid, peek }): Promise<BootPlan> => {
    if (plan.target !== 'environment') return plan;
    const binding = await sidero.resources.get(ServerBindingKind, { name: uuid });
    if (!binding) return plan;
    if (!given.desk.known) return { target: 'wait', status: 503, reason: 'the Secret default/siderolink was not read yet' };
    const { join, kernelLog, events } = await addressesFor(sidero, binding, given);
    const isOurs = !plan.args.some((arg) => arg.startsWith(API_ARGUMENT));
    if (!peek) await noteNetworkBoot(sidero, binding, isOurs);
    const joined = appendMissing(plan.args, API_ARGUMENT, join);
    return { ...plan, args: appendMissing(appendMissing(joined, KERNEL_LOG_ARGUMENT, kernelLog), EVENTS_ARGUMENT, events) };
  });
}

/**
 * A machine that we boot from the network may be another one, or have new disks: whoever joined before is no measure. One that never joined
 * has nothing from before tokens, and must show the one it is given now.
 */
async function noteNetworkBoot(
  { resources }: Sidero,
  { metadata: { name, annotations }, spec }: ServerBinding,
  carriesToken: boolean,
): Promise<void> {
  const isFresh = (publicKey = '', known?: string) => carriesToken && publicKey === '' && !known;
  if (!annotations?.[PIN_ANNOTATION] && !isFresh(spec?.siderolink?.publicKey, annotations?.[JOIN_ANNOTATION])) return;
  await resources.change(ServerBindingKind, { name }, (draft) => {
    const { [PIN_ANNOTATION]: _pin, ...rest } = draft.metadata.annotations ?? {};
    if (isFresh(draft.spec?.siderolink?.publicKey, rest[JOIN_ANNOTATION])) rest[JOIN_ANNOTATION] = 'given';
    draft.metadata.annotations = rest;
  });
}
