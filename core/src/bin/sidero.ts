import { Command } from 'commander';
import { SideroError } from '../errors.ts';
import { adoptCommand } from './adopt.ts';
import { inspectCommand } from './inspect.ts';
import { startCommand } from './start.ts';

const program = new Command('sidero')
  .description('Bare-metal servers become Talos Linux Kubernetes clusters.')
  .option('--config <file>', 'the config; default: sidero.config.{ts,js,json,yaml} here or above')
  .showHelpAfterError();
for (const add of [startCommand, inspectCommand, adoptCommand]) add(program);

try {
  await program.parseAsync();
} catch (thrown) {
  process.stderr.write(`sidero: ${thrown instanceof SideroError ? thrown.toText() : String((thrown as Error).stack ?? thrown)}\n`);
  process.exitCode = 1;
}
