import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, createMetrics, createResourceClient, type Environment, EnvironmentKind, type Plugin, type ResourceClient } from '@sidero/core';
import { agent } from '@sidero/plugin-agent';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { caps } from '@sidero/plugin-caps';
import { type RunningPlane, startPlane, writeStandIns } from '@sidero/testing';
import type { RealKubeApi } from '../kube-apiserver.ts';
import { type ClusterApi, placeClusterApi } from './cluster-api.ts';
import { type Clusterctl, initManagementCluster } from './clusterctl.ts';
import { type AuditedRequest, type InstalledSidero, playTheCluster, startAuditedApi } from './installed-sidero.ts';
import type { ClusterApiRelease } from './parts.ts';
import { writeRepository } from './provider-repository.ts';

/** A management cluster: a real API server on which `clusterctl init` was, Cluster API with Talos' providers, and Sidero in this process. */
export interface ManagementCluster extends AsyncDisposable {
  readonly api: RealKubeApi;
  readonly kubeconfigPath: string;
  /** How clusterctl was called, for what it does next. */
  readonly clusterctl: Clusterctl;
  readonly clusterApi: ClusterApi;
  /** May do everything; Sidero itself has the rights of its account only. */
  readonly resources: ResourceClient;
  readonly plane: RunningPlane['plane'];
  /** Of `/metrics`. */
  readonly diagnosticsPort: number;
  /** What Sidero asked the API for. */
  audited(): Promise<readonly AuditedRequest[]>;
  /** kubectl that must succeed; its output. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Objects of a resource in namespace "default", as JSON. */
  list<T>(resource: string): Promise<readonly T[]>;
}

export interface ManagementClusterOptions {
  readonly release: ClusterApiRelease;
  /** Besides the agent, iPXE and Cluster API's provider. */
  readonly plugins: readonly Plugin[];
  /** An Environment of that name is there, with arguments; its files are stand-ins. */
  readonly environment: { readonly name: string; readonly args: readonly string[] };
  /** As the option of `caps`. */
  readonly orphanGraceMs?: number | undefined;
}

/** As whoever installs Sidero would write into clusterctl's configuration. */
const VARIABLES = { SIDERO_CONTROLLER_MANAGER_AUTO_ACCEPT_SERVERS: 'true', SIDERO_FETCH_ENVIRONMENTS: 'false' };

/** Starts everything; about 20 s. */
export async function startManagementCluster(options: ManagementClusterOptions): Promise<ManagementCluster> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'sidero-management-'));
  started.defer(() => rm(folder, { recursive: true, force: true }));
  // One after the other: a port that the first has only chosen could be held by the second.
  const api = await startAuditedApi(folder);
  const placed = await placeClusterApi(options.release);
  started.defer(() => api.close());
  started.defer(() => placed.close());
  const config = await writeRepository(join(folder, 'repository'), { offers: placed.offers, variables: VARIABLES });
  const { kubeconfigPath } = api;
  const clusterctl = { release: options.release, config };
  await initManagementCluster({ kubeconfigPath, clusterctl });
  const [installed, clusterApi] = await Promise.all([playTheCluster(api, folder), placed.start(api)]);
  const resources = createResourceClient({
    kubeConfig: () => api.kubeConfig,
    log: createLogger({ level: 'silent' }),
    metrics: createMetrics(),
    component: 'test',
  });
  started.defer(() => resources.close());
  const { sidero, plane } = await startSidero(options, { installed, folder });
  started.defer(() => sidero.close());
  await addEnvironment(resources, options.environment);
  const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await api.kubectl(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const kept = started.move();
  return {
    api,
    kubeconfigPath,
    clusterctl,
    clusterApi,
    resources,
    plane,
    diagnosticsPort: sidero.diagnosticsPort!,
    audited: () => api.audited(),
    kubectl,
    list: async <T>(resource: string) => (JSON.parse(await kubectl(['get', resource, '-n', 'default', '-o', 'json'])) as { items: T[] }).items,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Sidero as the bundle would run it: with the environment of its container, and the rights of its account. */
async function startSidero(
  options: ManagementClusterOptions,
  { installed, folder }: { readonly installed: InstalledSidero; readonly folder: string },
): Promise<RunningPlane> {
  const dataDir = join(folder, 'data');
  await writeStandIns(dataDir);
  const files = join(dataDir, 'env', options.environment.name);
  await mkdir(files, { recursive: true });
  await Promise.all(['vmlinuz', 'initramfs.xz'].map((name) => writeFile(join(files, name), 'Talos is played\n')));
  return startPlane({
    dataDir,
    variables: { ...installed.variables, KUBECONFIG: installed.kubeconfigPath },
    site: { diagnosticsAddress: '127.0.0.1:0' },
    log: createLogger({ level: process.env['SIDERO_LOG_LEVEL'] ?? 'silent' }),
    plugins: ({ tftp }) => [
      agent(),
      bootIpxe({ tftpPort: tftp, tftpAddress: '127.0.0.1' }),
      caps({ orphanGraceMs: options.orphanGraceMs }),
      ...options.plugins,
    ],
  });
}

async function addEnvironment(resources: ResourceClient, { name, args }: ManagementClusterOptions['environment']): Promise<void> {
  await resources.create<Environment>(EnvironmentKind, {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Environment',
    metadata: { name },
    spec: { kernel: { args: [...args] } },
  });
}
