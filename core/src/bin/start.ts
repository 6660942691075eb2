import type { Command } from 'commander';
import { loadConfig, type LoadedConfig, siteSettings } from '../config.ts';
import { failure, SideroError } from '../errors.ts';
import { isMeant } from '../errors/nearest.ts';
import { createLogger } from '../log.ts';
import { flagOf, type Variables } from '../settings.ts';
import { startSidero } from '../start.ts';

/** `sidero start`: the management plane as the config says, until a signal ends it. */
export function startCommand(program: Command): void {
  program
    .command('start')
    .description('start the management plane as sidero.config.ts says')
    .option('--kubeconfig <file>', 'work with this cluster; default: KUBECONFIG, the cluster we run in, else the embedded API')
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nEvery setting with an environment variable is also a flag, e.g. --data-dir DIR, --auto-accept-servers=true; sidero inspect lists them.',
    )
    .action(async (options: { kubeconfig?: string }, command: Command) => {
      const file = program.opts<{ config?: string }>().config;
      const variables = await variablesOf(command.args, file);
      await run(await loadConfig({ file, variables }), { variables, kubeconfig: options.kubeconfig });
    });
}

async function run(config: LoadedConfig, given: { variables: Variables; kubeconfig: string | undefined }): Promise<void> {
  const log = createLogger();
  const signal = new Promise<string>((settle) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => settle(name));
  });
  const running = await startSidero({ config, log, ...given });
  // A bug in one request or tap must not take the other machines down; the log names it.
  process.on('unhandledRejection', (thrown) => log.error({ err: thrown }, 'unhandled rejection'));
  const ended = await Promise.race([signal, running.done.then(() => 'done')]).catch((thrown: unknown) => thrown);
  if (ended instanceof Error) log.fatal({ err: ended }, ended instanceof SideroError ? ended.toText() : ended.message);
  else log.info({ signal: ended }, 'stopping');
  await running.close();
  process.exit(ended instanceof Error ? 1 : 0);
}

/** The environment with `--flag VALUE`, `--flag=VALUE` and `--flag` (true) laid over it. @throws SIDERO_FLAG_UNKNOWN */
export async function variablesOf(args: readonly string[], file: string | undefined): Promise<Variables> {
  if (args.length === 0) return process.env;
  const { plugins } = await loadConfig({ file });
  const known = [
    ...Object.values(siteSettings).map(({ variable }) => variable),
    ...plugins.flatMap(({ options }) => Object.values(options.settings)),
  ];
  const byFlag = new Map(known.map((variable) => [flagOf(variable), variable]));
  const found: Record<string, string> = {};
  for (let index = 0; index < args.length; index++) {
    const [flag, inline] = splitOnce(args[index]!);
    const variable = byFlag.get(flag);
    if (!variable) throw failure('SIDERO_FLAG_UNKNOWN', { flag, meant: isMeant(flag, byFlag.keys()) });
    const next = args[index + 1];
    const takesNext = inline === undefined && next !== undefined && !next.startsWith('--');
    found[variable] = inline ?? (takesNext ? next : 'true');
    if (takesNext) index++;
  }
  return { ...process.env, ...found };
}

function splitOnce(argument: string): [flag: string, value: string | undefined] {
  const at = argument.indexOf('=');
  return at === -1 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)];
}
