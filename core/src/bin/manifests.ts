import type { Command } from 'commander';
import { dump } from 'js-yaml';
import { loadConfig } from '../config.ts';
import { createLogger } from '../log.ts';
import { assemble } from '../start.ts';

/** `sidero manifests`: the CustomResourceDefinitions of core and of the plugins in the config, for `kubectl apply -f -`. */
export function manifestsCommand(program: Command): void {
  program
    .command('manifests')
    .description('print the CustomResourceDefinitions of core and the configured plugins, as YAML')
    .action(async () => {
      const config = await loadConfig({ file: program.opts<{ config?: string }>().config });
      const { kernel } = assemble({
        config: { ...config, options: { endpoint: 'localhost', ...config.options } },
        log: createLogger({ level: 'silent' }),
      });
      const definitions = kernel.tables.customResources.for('core').list();
      process.stdout.write(definitions.map(({ definition }) => dump(definition)).join('---\n'));
    });
}
