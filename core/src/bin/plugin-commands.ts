import type { Command } from 'commander';
import { lookAtConfig } from './look-at-config.ts';
import { type ApiOptions, kubeConfigOf, withApiOptions } from './running-sidero.ts';

/**
 * Adds the subcommands that plugins bring. Those that use the API get its options, and reach it while their action runs.
 * To be disposed of when the program is over.
 */
export async function addPluginCommands(program: Command): Promise<AsyncDisposable> {
  const { kernel, resources, cluster } = await lookAtConfig(program.opts<{ config?: string }>().config);
  for (const { name, usesApi = false, define } of kernel.tables.commands.for('core').list()) {
    const command = program.command(name);
    define(command);
    if (!usesApi) continue;
    withApiOptions(command).hook('preAction', () => cluster.resolve(kubeConfigOf(command.opts<ApiOptions>())));
  }
  return { [Symbol.asyncDispose]: () => resources.close() };
}
