import { hasCode, SideroError } from '../errors.ts';
import { addPluginCommands } from './plugin-commands.ts';
import { sideroProgram } from './program.ts';

const program = sideroProgram();

try {
  await using _plugins = await pluginCommands();
  await program.parseAsync();
} catch (thrown) {
  process.stderr.write(`sidero: ${thrown instanceof SideroError ? thrown.toText() : String((thrown as Error).stack ?? thrown)}\n`);
  // A connection to the API that a failed start leaves would keep the process, and nobody would start it again.
  process.exit(1);
}

// Plugins bring subcommands of their own; the config is read only when none of core's was asked for. Help does without one.
async function pluginCommands(): Promise<AsyncDisposable | undefined> {
  const { operands } = program.parseOptions(process.argv.slice(2));
  const wanted = operands[0];
  if (program.commands.some((command) => command.name() === wanted)) return undefined;
  const isHelp = wanted === undefined || wanted === 'help';
  return addPluginCommands(program).catch((thrown: unknown) => {
    if (isHelp && hasCode(thrown, 'SIDERO_CONFIG_MISSING')) return undefined;
    throw thrown;
  });
}
