import type { Sidero } from '@sidero/core';
import { failure } from '../errors.ts';
import type { ClusterApiKinds } from '../kinds.ts';
import { metalMachineNamed } from '../metal-machine-named.ts';
import { explainConfig, renderConfig, type RenderedLine } from '../machine-config/render.ts';
import { renderInputOf } from './config-desk.ts';
import { expectedBinding } from './expected-binding.ts';
import { boundServerOf, gatherSources } from './sources.ts';

interface Options {
  readonly explain?: boolean;
  readonly server?: string;
}

/** `sidero config render`: what `/configdata` gives a machine, or will give it. It prints secrets, to stdout alone. */
export function addRenderCommand(sidero: Sidero, kinds: () => Promise<ClusterApiKinds>): void {
  sidero.commands.add({
    name: 'config',
    usesApi: true,
    define(command) {
      command.description('the Talos configuration of a machine');
      command
        .command('render <namespace/metalmachine>')
        .description('print the configuration as it is served, or will be once the machine is bound; it holds secrets')
        .option('--explain', 'before each line that is not from the bootstrap data: what put it there')
        .option('--server <name>', 'as if it were bound to this server')
        .action(async (name: string, options: Options) => {
          const { text, note } = await renderFor(sidero, await kinds(), { name, ...options });
          process.stderr.write(`${note}\n`);
          process.stdout.write(text);
        });
    },
  });
}

/**
 * The configuration of a MetalMachine, and for which server it is made.
 * @throws SIDERO_CONFIG_UNAVAILABLE, SIDERO_METAL_MACHINE_UNNAMED and what `expectedBinding` and `renderConfig` throw
 */
export async function renderFor(
  { resources, lifecycle }: Pick<Sidero, 'resources' | 'lifecycle'>,
  kinds: ClusterApiKinds,
  given: Options & { readonly name: string },
): Promise<{ readonly text: string; readonly note: string }> {
  const { binding, why } = await expectedBinding(resources, metalMachineNamed(given.name), given.server);
  const bound = await boundServerOf(resources, binding);
  const sources = 'status' in bound ? bound : await gatherSources(resources, kinds, bound);
  if ('status' in sources) throw failure('SIDERO_CONFIG_UNAVAILABLE', { metalMachine: given.name, why: sources.text });
  const input = renderInputOf(sources, await lifecycle.bind(binding));
  const text = given.explain ? withOrigins(explainConfig(input)) : renderConfig(input);
  return { text, note: `MetalMachine ${given.name} on server ${binding.metadata.name}: ${why}` };
}

/** Two columns: the origin where it is not the bootstrap data, and the line. */
function withOrigins(lines: readonly RenderedLine[]): string {
  const shown = lines.map(({ text, origin }) => ({ text, origin: origin === 'bootstrap data' ? '' : origin }));
  const width = Math.max(...shown.map(({ origin }) => origin.length));
  return shown.map(({ text, origin }) => `${origin.padEnd(width)} | ${text}\n`).join('');
}
