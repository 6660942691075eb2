import type { Command } from 'commander';
import { dump } from 'js-yaml';
import { lookAtConfig } from './look-at-config.ts';

/** `sidero manifests`: the CustomResourceDefinitions of core and of the plugins in the config, for `kubectl apply -f -`. */
export function manifestsCommand(program: Command): void {
  program
    .command('manifests')
    .description('print the CustomResourceDefinitions of core and the configured plugins, as YAML')
    .action(async () => {
      const { kernel } = await lookAtConfig(program.opts<{ config?: string }>().config);
      const definitions = kernel.tables.customResources.for('core').list();
      const published = definitions.filter(({ isEmbeddedOnly }) => !isEmbeddedOnly);
      process.stdout.write(published.map(({ definition }) => dump(definition)).join('---\n'));
    });
}
