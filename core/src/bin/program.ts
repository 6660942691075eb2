import { Command } from 'commander';
import { adoptCommand } from './adopt.ts';
import { bmcCommand } from './bmc.ts';
import { inspectCommand } from './inspect.ts';
import { manifestsCommand } from './manifests.ts';
import { pluginCommand } from './plugin.ts';
import { powerCommand } from './power.ts';
import { startCommand } from './start.ts';
import { whyCommand } from './why.ts';
import { wipeCommand } from './wipe.ts';

/** The program `sidero` with core's commands. */
export function sideroProgram(): Command {
  const program = new Command('sidero')
    .description('Bare-metal servers become Talos Linux Kubernetes clusters.')
    .option('--config <file>', 'the config; default: sidero.config.{ts,js,json,yaml} here or above')
    .addHelpText('after', '\nExit status: 0 done; 1 not done, and the last lines say why and what to do next; 130 interrupted.')
    .showHelpAfterError();
  for (const add of [startCommand, inspectCommand, whyCommand, powerCommand, wipeCommand, bmcCommand, adoptCommand, manifestsCommand, pluginCommand])
    add(program);
  return program;
}
