import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { KubeConfig as Config } from '@kubernetes/client-node';
import type { Command } from 'commander';
import { ADOPT_ANNOTATION } from '../lifecycle/discover.ts';
import { createLogger } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { createResourceClient } from '../resources/kube-client.ts';
import { ServerKind } from '../resources/kinds.ts';

/** `sidero adopt SERVER`: the machine that reports next under this UUID is the Server's, although its parts differ. */
export function adoptCommand(program: Command): void {
  program
    .command('adopt <server>')
    .description('confirm that a machine whose parts changed is still this Server')
    .option('--kubeconfig <file>', 'the API to talk to; default: KUBECONFIG, else <data-dir>/kubeconfig')
    .option('--data-dir <folder>', 'data directory of the running sidero', '.sidero')
    .action(async (server: string, options: { kubeconfig?: string; dataDir: string }) => {
      const file = options.kubeconfig ?? process.env['KUBECONFIG'] ?? join(options.dataDir, 'kubeconfig');
      await adopt(server, configOf(file));
      process.stdout.write(`server ${server}: the next machine that reports under this UUID is taken as this Server\n`);
    });
}

function configOf(file: string): KubeConfig {
  const config = new Config();
  config.loadFromFile(file);
  return config;
}

async function adopt(server: string, kubeConfig: KubeConfig): Promise<void> {
  const client = createResourceClient({
    kubeConfig: () => kubeConfig,
    log: createLogger({ level: 'warn' }),
    metrics: createMetrics(),
    component: 'sidero',
  });
  await client.change(ServerKind, { name: server }, (draft) => {
    draft.metadata.annotations = { ...draft.metadata.annotations, [ADOPT_ANNOTATION]: 'true' };
  });
}
