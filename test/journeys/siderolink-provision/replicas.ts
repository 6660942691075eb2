import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkConfig, type Plugin } from '@sidero/core';
import { type RunningSidero, startSidero } from '@sidero/core/start';
import { siderolink } from '@sidero/plugin-siderolink';
import { aBinding, freePorts, silentLogger, type TestSidero, testSidero } from '@sidero/testing';
import { boundServer, theEnvironment } from './plane.ts';

/** Replicas of one management plane, each with a data directory of its own; of several one leads, by the Lease. */
export interface Replicas extends AsyncDisposable {
  /** The API they share, with a server that is bound; nobody has SideroLink there yet. */
  readonly api: TestSidero;
  /** In the tunnel, of whichever leads. */
  readonly logPort: number;
  /** Starts another one, with SideroLink or with what is given. */
  start(plugins?: readonly Plugin[]): Promise<RunningSidero>;
  /** Data directory of one. */
  dataDirOf(replica: RunningSidero): string;
}

export async function replicas(): Promise<Replicas> {
  const api = await testSidero({ objects: [boundServer(), theEnvironment(), aBinding()] });
  const folder = await mkdtemp(join(tmpdir(), 'siderolink-replicas-'));
  const [logPort, eventPort] = (await freePorts(2)) as [number, number];
  const started: RunningSidero[] = [];
  const start = async (plugins: readonly Plugin[] = [siderolink({ tunnel: 'loopback', logPort, eventPort })]): Promise<RunningSidero> => {
    const dataDir = await mkdtemp(join(folder, 'data-'));
    const kubeconfig = join(dataDir, 'kubeconfig');
    await writeFile(kubeconfig, api.kubeConfig.exportConfig(), { mode: 0o600 });
    const [httpPort] = await freePorts(1);
    const listeners = { healthAddress: '127.0.0.1:0', diagnosticsAddress: '127.0.0.1:0' };
    const variables = { SIDERO_FETCH_ENVIRONMENTS: 'false' };
    const options = { endpoint: '127.0.0.1', httpPort, dataDir, namespace: 'default', ...listeners, plugins };
    const config = checkConfig(options, { file: 'replica', variables });
    const running = await startSidero({ config, kubeconfig, log: silentLogger(), variables, host: '127.0.0.1' });
    running.done.catch(() => undefined);
    started.push(running);
    return running;
  };
  return {
    api,
    logPort,
    start,
    dataDirOf: ({ kernel }) => kernel.site.dataDir,
    async [Symbol.asyncDispose]() {
      for (const one of started) await one.close();
      await api.close();
      await rm(folder, { recursive: true });
    },
  };
}
