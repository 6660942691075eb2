import {
  type BootPlan,
  type BootRequest,
  conditionOf,
  environmentNameOf,
  type Environment,
  EnvironmentKind,
  markTrue,
  type ResourceClient,
  type ServerBinding,
  ServerBindingKind,
  type Sidero,
} from '@sidero/core';
import { boundMachine, type BoundServer, lookedAt } from '../bound-machine.ts';
import { COMPONENT } from '../controllers/contract.ts';
import { TALOS_CONDITIONS } from '../controllers/metal-machine-picture.ts';
import { takenBy } from './config-claim.ts';

/** The first version of Talos that tells of its installation, over SideroLink. */
const FIRST_TELLING = { major: 0, minor: 14 };
/** Kernel argument of machines that are to join SideroLink. */
const JOIN_ARGUMENT = 'siderolink.api=';
/** Annotation of bindings whose machine was sent to SideroLink, or has joined it. */
const JOIN_ANNOTATION = 'metal.sidero.dev/siderolink-token';

/**
 * Talos that tells nobody that it is installed (it is older than 0.14, or there is no SideroLink here) counts as installed when it has taken its
 * configuration and boots anew; it would be booted from the network for ever. `spec.pxeBootAlways` of its Server has it boot from there all the same.
 */
export function addSilentTalos({ hooks, resources }: Pick<Sidero, 'hooks' | 'resources'>): void {
  hooks.boot.tapPromise('caps', async (plan, request): Promise<BootPlan> => {
    const found = plan.target === 'environment' && !request.peek ? await bootOf(resources, request) : undefined;
    const taken = found && takenBy(found.binding);
    if (plan.target !== 'environment' || !found || !taken || found.server.spec?.pxeBootAlways || !isSilent(found, plan.args)) return plan;
    const { name } = found.binding.metadata;
    await resources.change(ServerBindingKind, { name }, (draft) => {
      if (hasTold(draft)) return false;
      draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, 'TalosInstalled', new Date()) };
      return undefined;
    });
    await tell(resources, found, taken.at);
    return { target: 'wait', status: 503, reason: 'its Talos counts as installed from now on; it boots from its disk in a moment' };
  });
}

interface Boot extends BoundServer {
  readonly environment: Environment | undefined;
}

async function bootOf(resources: ResourceClient, { uuid }: BootRequest): Promise<Boot | undefined> {
  const bound = await boundMachine(resources, uuid);
  return bound && { ...bound, environment: await resources.get(EnvironmentKind, { name: environmentNameOf(bound.server, bound.serverClass) }) };
}

/** Whether nothing is to be heard of this machine's Talos. */
function isSilent({ binding, environment }: Boot, args: readonly string[]): boolean {
  if (hasTold(binding)) return false;
  if (isTooOld(environment)) return true;
  return !binding.metadata.annotations?.[JOIN_ANNOTATION] && !args.some((argument) => argument.startsWith(JOIN_ARGUMENT));
}

function hasTold({ spec, status }: ServerBinding): boolean {
  return Boolean(spec?.siderolink?.publicKey) || TALOS_CONDITIONS.some((type) => conditionOf(status?.conditions, type) !== undefined);
}

/** By the version in the URL of its kernel, as releases of Talos have it. */
function isTooOld(environment: Environment | undefined): boolean {
  const [, major, minor] = /\/v(\d+)\.(\d+)\.\d+[^/]*\//.exec(environment?.spec?.kernel?.url ?? '') ?? [];
  if (major === undefined) return false;
  return Number(major) < FIRST_TELLING.major || (Number(major) === FIRST_TELLING.major && Number(minor) < FIRST_TELLING.minor);
}

async function tell(resources: ResourceClient, bound: BoundServer, takenAt: string): Promise<void> {
  const message =
    `Without SideroLink its Talos counts as installed: it took its configuration at ${takenAt}, and boots anew. ` +
    `Should its disk hold nothing, set spec.pxeBootAlways of Server ${bound.server.metadata.name} until it does.`;
  for (const about of await lookedAt(resources, bound))
    await resources.record(about, { type: 'Normal', reason: 'Machine Boot', message, component: COMPONENT });
}
