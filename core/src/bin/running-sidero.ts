import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { type Command, Option } from 'commander';
import { loadConfig } from '../config.ts';
import { failure } from '../errors.ts';
import { isMeant } from '../errors/nearest.ts';
import { createLogger } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { createResourceClient, type RunningResourceClient } from '../resources/kube-client.ts';
import { type Server, ServerKind } from '../resources/kinds.ts';

/** How a command finds the API of the sidero that runs. */
export interface ApiOptions {
  readonly kubeconfig?: string;
  readonly dataDir: string;
}

/** What a command about a running sidero works with; over when it is disposed of. */
export interface RunningSidero extends AsyncDisposable {
  readonly resources: RunningResourceClient;
  /** Aborts with Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Adds the options of every command that talks to a running sidero. */
export function withApiOptions(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'the API to talk to; default: KUBECONFIG, else <data-dir>/kubeconfig')
    .addOption(
      new Option('--data-dir <folder>', 'data directory of the running sidero; where there is none, that of the config')
        .env('SIDERO_DATA_DIR')
        .default('.sidero'),
    )
    .hook('preAction', () => takeDataDirOfConfig(command));
}

// A config takes a moment to load, and may not be at hand: it is asked only when nothing else tells.
async function takeDataDirOfConfig(command: Command): Promise<void> {
  const { kubeconfig, dataDir, config } = command.optsWithGlobals<ApiOptions & { config?: string }>();
  const isTold = kubeconfig ?? process.env['KUBECONFIG'] ?? (command.getOptionValueSource('dataDir') !== 'default' || undefined);
  if (isTold || existsSync(join(dataDir, 'kubeconfig'))) return;
  const loaded = await loadConfig({ file: config }).catch(() => undefined);
  if (loaded) command.setOptionValueWithSource('dataDir', loaded.options.dataDir, 'config');
}

/** The way to its API. @throws SIDERO_KUBECONFIG_MISSING */
export function kubeConfigOf({ kubeconfig, dataDir }: ApiOptions): KubeConfig {
  const file = kubeconfig ?? process.env['KUBECONFIG'] ?? join(dataDir, 'kubeconfig');
  if (!existsSync(file)) throw failure('SIDERO_KUBECONFIG_MISSING', { file });
  const config = new KubeConfig();
  config.loadFromFile(file);
  return config;
}

/** Connects to its API; there is no other way to it. @throws SIDERO_KUBECONFIG_MISSING */
export function runningSidero(options: ApiOptions): RunningSidero {
  const config = kubeConfigOf(options);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt);
  const resources = createResourceClient({
    kubeConfig: () => config,
    log: createLogger({ level: 'error' }),
    metrics: createMetrics(),
    component: 'sidero',
  });
  resources.start(stop.signal);
  return {
    resources,
    signal: stop.signal,
    async [Symbol.asyncDispose]() {
      process.removeListener('SIGINT', interrupt);
      stop.abort();
      await resources.close();
    },
  };
}

/** The Server as it is now. @throws SIDERO_SERVER_UNKNOWN */
export async function serverNamed({ resources }: Pick<RunningSidero, 'resources'>, name: string): Promise<Server> {
  const server = await resources.get(ServerKind, { name }, { live: true });
  if (server) return server;
  const servers = await resources.list(ServerKind, {}, { live: true });
  const named = servers.find(({ spec }) => spec?.hostname === name)?.metadata.name;
  const names = servers.map(({ metadata }) => metadata.name);
  throw failure('SIDERO_SERVER_UNKNOWN', { name, meant: named ? `"${named}" has that hostname` : isMeant(name, names) });
}
