import { appendMissing, type BootPlan, ServerBindingKind, type Sidero } from '@sidero/core';
import { TOKEN_KEY } from './config-claim.ts';

/** Where a bound machine is told to fetch its configuration; Talos fills in its own UUID. */
export async function configUrl({ site, tokens }: Pick<Sidero, 'site' | 'tokens'>, bound: Parameters<Sidero['tokens']['sign']>[1]): Promise<string> {
  return `http://${site.authority}/configdata?uuid=&${TOKEN_KEY}=${await tokens.sign('config', bound)}`;
}

/** Adds `talos.config=` to what bound machines boot, unless the user wrote one into the Environment. */
export function addBootArgument({ hooks, resources, site, tokens }: Sidero): void {
  hooks.boot.tapPromise('caps', async (plan, { uuid }): Promise<BootPlan> => {
    if (plan.target !== 'environment') return plan;
    const binding = await resources.get(ServerBindingKind, { name: uuid });
    if (!binding) return plan;
    const { namespace = '', name = '' } = binding.spec?.metalMachineRef ?? {};
    const url = await configUrl({ site, tokens }, { uuid, metalMachine: { namespace, name } });
    return { ...plan, args: appendMissing(plan.args, 'talos.config=', url) };
  });
}
