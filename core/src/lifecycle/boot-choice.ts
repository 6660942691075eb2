import type { Arch, BootFacts, BootPlan } from '../hooks.ts';
import type { Environment, Server, ServerClass } from '../resources/kinds.ts';
import { argProblem, overrideArgs, talosKernelArgs } from './kernel-args.ts';

/** What a machine boots, before the objects behind it are looked at. */
export type BootTarget =
  | { readonly target: 'agent'; readonly reason: string }
  | { readonly target: 'disk'; readonly method: string; readonly reason: string }
  | { readonly target: 'environment'; readonly name: string; readonly reason: string }
  | Extract<BootPlan, { target: 'wait' }>;

/** Whether the files of an Environment are whole on this replica. */
export type LocalCopy = { readonly ready: true } | { readonly ready: false; readonly reason: string };

/** What a site has chosen for booting. */
export interface BootSettings {
  /** `host:port` that machines are told, with brackets around an IPv6 address. */
  readonly authority: string;
  /** Laid over the agent's arguments. Default none. */
  readonly extraAgentArgs: string;
  /** Name in `diskBoots` when neither Server nor ServerClass says one. Default `ipxe-exit`. */
  readonly bootFromDiskMethod: string;
}

/** Folder under `/env` that holds the agent's files. */
export function agentEnvironment(arch: Arch): `agent-${Arch}` {
  return `agent-${arch}`;
}

/** Name of the ServerClass that has to be read before `chooseTarget` can answer; undefined when none matters. */
export function neededServerClass({ server, binding }: Pick<BootFacts, 'server' | 'binding'>): string | undefined {
  if (!server || !binding) return undefined;
  const decidedByServer = bootsFromDisk(server) ? server.spec?.bootFromDiskMethod : server.spec?.environmentRef?.name;
  return decidedByServer ? undefined : binding.spec?.serverClassRef?.name || undefined;
}

/**
 * What a machine boots. `serverClass` is the one `neededServerClass` named; undefined means it does not exist.
 * Acceptance, cleanliness, cordon and power play no part: what the agent may do is decided when it calls.
 */
export function chooseTarget(facts: BootFacts, settings: Pick<BootSettings, 'bootFromDiskMethod'>): BootTarget {
  const { server, binding, serverClass } = facts;
  if (!server) return { target: 'agent', reason: 'this machine is not known yet' };
  if (!binding) return { target: 'agent', reason: 'the server is not allocated' };
  const needed = neededServerClass(facts);
  const fromDisk = bootsFromDisk(server);
  if (needed && !serverClass) return { target: 'wait', status: fromDisk ? 500 : 404, reason: `ServerClass "${needed}" does not exist` };
  if (fromDisk) {
    const method = server.spec?.bootFromDiskMethod || serverClass?.spec?.bootFromDiskMethod || settings.bootFromDiskMethod;
    return { target: 'disk', method, reason: 'the operating system is installed' };
  }
  const name = environmentNameOf(server, serverClass);
  return { target: 'environment', name, reason: 'the server is allocated and its operating system not installed' };
}

/** The Environment that an allocated server network-boots. `serverClass` is the one its binding names. */
export function environmentNameOf(server: Server, serverClass: ServerClass | undefined): string {
  return server.spec?.environmentRef?.name || serverClass?.spec?.environmentRef?.name || 'default';
}

/** The plan that boots the agent; the stage adds the token. */
export function planAgent(machine: { readonly arch: Arch; readonly mac: string; readonly reason: string }, settings: BootSettings): BootPlan {
  const ours = [
    'console=tty0',
    'console=ttyS0',
    'initrd=initramfs.xz',
    'panic=30',
    `sidero.mac=${machine.mac}`,
    `sidero.endpoint=${settings.authority}`,
  ];
  const args = overrideArgs([...talosKernelArgs(''), ...ours], settings.extraAgentArgs);
  return checked({ target: 'agent', environment: agentEnvironment(machine.arch), args, reason: machine.reason });
}

/**
 * The plan for the Environment that `chooseTarget` named. `environment` is undefined when it does not exist; `local` tells of its
 * files here. What plugins know (`talos.config=` and the like) is added by their taps on `boot`.
 */
export function planEnvironment(
  chosen: { readonly name: string; readonly reason: string },
  environment: Environment | undefined,
  local: LocalCopy,
): BootPlan {
  const { name, reason } = chosen;
  if (!environment) return { target: 'wait', status: 404, reason: `environment "${name}" does not exist` };
  if (!local.ready) {
    // Ready elsewhere: another replica has it, this one will.
    const status = isReady(environment) ? 503 : 412;
    return { target: 'wait', status, reason: `environment "${name}" is not ready${status === 503 ? ' here' : ''}: ${local.reason}` };
  }
  return checked({ target: 'environment', environment: name, args: environment.spec?.kernel?.args ?? [], reason });
}

/** A plan whose arguments can all stand on a line; else one that says which cannot. Taps add arguments, so the stage checks again. */
export function checked(plan: BootPlan): BootPlan {
  const problem = 'args' in plan ? argProblem(plan.args) : undefined;
  return problem ? { target: 'wait', status: 500, reason: `environment "${(plan as { environment: string }).environment}": ${problem}` } : plan;
}

/** Whether each file of an Environment has a true `Ready` condition; those without a URL need none. */
export function isReady(environment: Environment): boolean {
  const urls = [environment.spec?.kernel?.url, environment.spec?.initrd?.url].filter((url) => url);
  const conditions = environment.status?.conditions ?? [];
  return urls.every((url) => conditions.some((condition) => condition.url === url && condition.type === 'Ready' && condition.status === 'True'));
}

// The condition's presence counts, not its status: it is removed when the server is released.
function bootsFromDisk(server: NonNullable<BootFacts['server']>): boolean {
  const wasBooted = server.status?.conditions?.some(({ type }) => type === 'PXEBooted') ?? false;
  return wasBooted && !server.spec?.pxeBootAlways;
}
