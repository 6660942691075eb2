import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger, createMetrics, createResourceClient, type ResourceClient } from '@sidero/core';
import { type ManagementPlane, type Network, startManagementPlane } from '@sidero/testing/qemu';
import type { RealKubeApi } from '../kube-apiserver.ts';
import { AGENT_IMAGE } from '../pxe-site.ts';
import type { TalosImage } from '../talos/image.ts';
import { type ClusterApi, type CommandOf, placeClusterApi } from './cluster-api.ts';
import { initManagementCluster } from './clusterctl.ts';
import { type InstalledSidero, playTheCluster, startAuditedApi } from './installed-sidero.ts';
import { writeRepository } from './provider-repository.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Where Sidero serves what the machines boot and install, besides the agent. */
const IMAGE_FOLDER = 'talos-image';

/**
 * A management cluster for machines of QEMU: a real API server with what `clusterctl init` installed, Cluster API with Talos' providers, and `sidero start`
 * in the network of the machines.
 */
export interface QemuManagement extends AsyncDisposable {
  readonly api: RealKubeApi;
  readonly clusterApi: ClusterApi;
  /** May do everything; Sidero itself has the rights of its account only. */
  readonly resources: ResourceClient;
  /** Its lines are its log. */
  readonly sidero: ManagementPlane;
  /** URL of a file of the image, as machines reach it. */
  imageUrl(file: 'vmlinuz' | 'initramfs.xz' | 'disk.img'): string;
  /** kubectl that must succeed; its output. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Objects of a resource in namespace "default", as JSON. */
  list<T>(resource: string): Promise<readonly T[]>;
}

/** Starts everything; about 25 s. */
export async function startQemuManagement(network: Network, image: TalosImage): Promise<QemuManagement> {
  await using started = new AsyncDisposableStack();
  // One after the other: the ports of the first are free until its programs listen.
  const api = await startAuditedApi(network.dir);
  started.defer(() => api.close());
  const placed = await placeClusterApi('1.10', besideMachines(network));
  started.defer(() => placed.close());
  await network.bring(portOf(api.url));
  const { kubeconfigPath } = api;
  const config = await writeRepository(join(network.dir, 'repository'), { offers: placed.offers });
  await initManagementCluster({ kubeconfigPath, clusterctl: { release: '1.10', config } });
  const [installed, clusterApi] = await Promise.all([playTheCluster(api, network.dir), placed.start(api)]);
  const sidero = started.use(await startSidero(network, { installed, image }));
  const log = createLogger({ level: 'silent' });
  const resources = createResourceClient({ kubeConfig: () => api.kubeConfig, log, metrics: createMetrics(), component: 'test' });
  started.defer(() => resources.close());
  const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await api.kubectl(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const kept = started.move();
  return {
    api,
    clusterApi,
    resources,
    sidero,
    imageUrl: (file) => `http://${network.address}:8081/env/${IMAGE_FOLDER}/${file}`,
    kubectl,
    list: async <T>(resource: string) => (JSON.parse(await kubectl(['get', resource, '-n', 'default', '-o', 'json'])) as { items: T[] }).items,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The control-plane provider talks to the machines, so it runs where they are; its own ports are reached from here. */
function besideMachines(network: Network): CommandOf {
  return async ({ provider, webhookPort, healthPort }) => {
    if (provider.type !== 'ControlPlaneProvider') return [provider.program];
    await Promise.all([webhookPort, healthPort].map((port) => network.forward(port)));
    return network.inside([provider.program]);
  };
}

async function startSidero(network: Network, given: { readonly installed: InstalledSidero; readonly image: TalosImage }): Promise<ManagementPlane> {
  const { kubeconfigPath, variables } = given.installed;
  const dataDir = join(network.dir, 'data');
  await mkdir(join(dataDir, 'env'), { recursive: true });
  await cp(AGENT_IMAGE, join(dataDir, 'env/agent-amd64'), { recursive: true });
  await cp(given.image.folder, join(dataDir, 'env', IMAGE_FOLDER), { recursive: true });
  const config = join(network.dir, 'sidero.config.json');
  await writeFile(config, JSON.stringify({ endpoint: network.address, plugins: plugins(network) }));
  await network.forward(Number(variables['SIDERO_WEBHOOK_PORT']));
  return startManagementPlane(network, { config, dataDir, args: ['--kubeconfig', kubeconfigPath], env: variables });
}

function plugins(network: Network): readonly object[] {
  const plugin = (name: string, options: object = {}) => ({ from: join(ROOT, 'plugins', name, 'src/index.ts'), options });
  return [
    plugin('boot-ipxe', { dhcp: [{ interface: network.bridge, mode: 'full', range: ['10.77.0.50', '10.77.0.250'] }] }),
    plugin('agent'),
    plugin('ipmi'),
    plugin('caps'),
    // The sockets of wireguard-go go by the name of the interface, whatever network that is in.
    plugin('siderolink', { interface: `sl${process.pid}` }),
  ];
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
