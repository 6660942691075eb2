import { SideroError } from '../errors.ts';
import { lookAtConfig } from './look-at-config.ts';
import { sideroProgram } from './program.ts';

const program = sideroProgram();

try {
  await addPluginCommands();
  await program.parseAsync();
} catch (thrown) {
  process.stderr.write(`sidero: ${thrown instanceof SideroError ? thrown.toText() : String((thrown as Error).stack ?? thrown)}\n`);
  process.exitCode = 1;
}

// Plugins bring subcommands of their own; the config is read only when none of core's was asked for.
async function addPluginCommands(): Promise<void> {
  const { operands } = program.parseOptions(process.argv.slice(2));
  const wanted = operands[0];
  if (wanted === undefined || wanted === 'help' || program.commands.some((command) => command.name() === wanted)) return;
  const { kernel } = await lookAtConfig(program.opts<{ config?: string }>().config);
  for (const command of kernel.tables.commands.for('core').list()) command.define(program.command(command.name));
}
