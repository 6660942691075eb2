import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  coreCustomResources,
  createLogger,
  type CustomResource,
  type Environment,
  EnvironmentKind,
  type Plugin,
  type ResourceClient,
} from '@sidero/core';
import { agent } from '@sidero/plugin-agent';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { caps, capsCustomResources } from '@sidero/plugin-caps';
import { type RunningPlane, startPlane, writeStandIns } from '@sidero/testing';
import { type RealKubeApi, startKubeApiServer } from '../kube-apiserver.ts';
import { freePorts, writeCertificate } from '../loopback.ts';
import { type ClusterApi, startClusterApi } from './cluster-api.ts';
import type { ClusterApiRelease } from './parts.ts';

/** A management cluster: a real API server, Cluster API with Talos' providers, and Sidero in this process. */
export interface ManagementCluster extends AsyncDisposable {
  readonly api: RealKubeApi;
  readonly clusterApi: ClusterApi;
  readonly resources: ResourceClient;
  readonly plane: RunningPlane['plane'];
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

/** Starts everything; about 15 s. */
export async function startManagementCluster(options: ManagementClusterOptions): Promise<ManagementCluster> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'sidero-management-'));
  started.defer(() => rm(folder, { recursive: true, force: true }));
  const api = await startKubeApiServer();
  started.defer(() => api.close());
  const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await api.kubectl(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const [webhookPort = 0] = await freePorts(1);
  const ca = await writeCertificate(folder);
  await kubectl(['create', 'namespace', 'sidero-system']);
  await installOurKinds(kubectl, { url: `https://127.0.0.1:${webhookPort}/convert`, ca });
  const clusterApi = await startClusterApi({ api, release: options.release });
  started.defer(() => clusterApi.close());
  const { sidero, plane } = await startSidero(options, { api, folder, webhookPort });
  started.defer(() => sidero.close());
  const kept = started.move();
  return {
    api,
    clusterApi,
    resources: sidero.resources,
    plane,
    kubectl,
    list: async <T>(resource: string) => (JSON.parse(await kubectl(['get', resource, '-n', 'default', '-o', 'json'])) as { items: T[] }).items,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function startSidero(
  options: ManagementClusterOptions,
  given: { api: RealKubeApi; folder: string; webhookPort: number },
): Promise<RunningPlane> {
  const { api, folder, webhookPort } = given;
  const dataDir = join(folder, 'data');
  await writeStandIns(dataDir);
  const files = join(dataDir, 'env', options.environment.name);
  await mkdir(files, { recursive: true });
  await Promise.all(['vmlinuz', 'initramfs.xz'].map((name) => writeFile(join(files, name), 'Talos is played\n')));
  const variables = { KUBECONFIG: api.kubeconfigPath, SIDERO_WEBHOOK_PORT: String(webhookPort), SIDERO_WEBHOOK_CERT_DIR: folder };
  const running = await startPlane({
    dataDir,
    variables,
    log: createLogger({ level: process.env['SIDERO_LOG_LEVEL'] ?? 'silent' }),
    plugins: ({ tftp }) => [
      agent({ autoAccept: true }),
      bootIpxe({ tftpPort: tftp, tftpAddress: '127.0.0.1' }),
      caps({ orphanGraceMs: options.orphanGraceMs }),
      ...options.plugins,
    ],
  });
  const { name, args } = options.environment;
  await running.sidero.resources.create<Environment>(EnvironmentKind, {
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Environment',
    metadata: { name },
    spec: { kernel: { args: [...args] } },
  });
  return running;
}

/** Our kinds as they are published, with the service that converts turned into a URL. */
async function installOurKinds(
  kubectl: (args: readonly string[], input?: string) => Promise<string>,
  { url, ca }: { url: string; ca: string },
): Promise<void> {
  const kinds: readonly CustomResource[] = [...coreCustomResources(), ...capsCustomResources()];
  const clientConfig = { url, caBundle: Buffer.from(ca).toString('base64') };
  const webhook = { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1'], clientConfig } };
  const items = kinds.map(({ definition }) => {
    // `clusterctl init` labels what it installs, and `clusterctl move` looks at no other kinds.
    const labels = { ...definition.metadata.labels, 'clusterctl.cluster.x-k8s.io': '' };
    return { ...definition, metadata: { ...definition.metadata, labels }, spec: { ...definition.spec, conversion: webhook } };
  });
  await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...kinds.map(({ name }) => `crd/${name}`)]);
}
