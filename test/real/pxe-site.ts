import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { CustomObjectsApi, KubeConfig } from '@kubernetes/client-node';
import type { Server } from '@sidero/core';
import { freePorts } from '@sidero/testing';
import { type ManagementPlane, type Network, startManagementPlane } from '@sidero/testing/qemu';

const ROOT = join(import.meta.dirname, '../..');
/** What `npm run build:agent` makes. */
export const AGENT_IMAGE = join(ROOT, '.sidero/env/agent-amd64');

/** A management plane on a network of bare machines. */
export interface Site extends AsyncDisposable {
  readonly plane: ManagementPlane;
  /** Of its embedded API, as it can be used from outside of the network. */
  readonly kubeConfig: KubeConfig;
  /** The Server of that UUID as the API has it now. */
  server(uuid: string): Promise<Server | undefined>;
}

export interface SiteOptions {
  /** Default true: every machine is accepted when it registers. */
  readonly autoAccept?: boolean;
  /** More plugins, ours by the name of their folder, others by the path of their module, with their options. */
  readonly plugins?: Readonly<Record<string, object>>;
}

/** Starts `sidero start` in the network: embedded API, agent API, and DHCP of this kind on the bridge. */
export async function startSite(network: Network, dhcp: object, options: SiteOptions = {}): Promise<Site> {
  const dataDir = join(network.dir, 'data');
  await mkdir(join(dataDir, 'env'), { recursive: true });
  await cp(AGENT_IMAGE, join(dataDir, 'env/agent-amd64'), { recursive: true });
  const config = join(network.dir, 'sidero.config.json');
  const plugin = (name: string, options: object) => ({
    from: isAbsolute(name) ? name : join(ROOT, 'plugins', name, 'src/index.ts'),
    options,
  });
  const plugins = [
    // The same port is forwarded to the outside, so it is one that is free there.
    plugin('apiserver', { port: (await freePorts(1))[0] }),
    plugin('boot-ipxe', { dhcp: [{ interface: network.bridge, ...dhcp }] }),
    plugin('agent', { autoAccept: options.autoAccept ?? true }),
    ...Object.entries(options.plugins ?? {}).map(([name, given]) => plugin(name, given)),
  ];
  await writeFile(config, JSON.stringify({ endpoint: network.address, plugins }));
  const plane = await startManagementPlane(network, { config, dataDir });
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(await readFile(plane.kubeconfig, 'utf8'));
  const { port } = new URL(kubeConfig.getCurrentCluster()!.server);
  await network.forward(Number(port));
  const api = kubeConfig.makeApiClient(CustomObjectsApi);
  return {
    plane,
    kubeConfig,
    async server(uuid) {
      const { items } = (await api.listClusterCustomObject({ group: 'metal.sidero.dev', version: 'v1alpha2', plural: 'servers' })) as {
        items: Server[];
      };
      return items.find(({ metadata }) => metadata.name === uuid);
    },
    [Symbol.asyncDispose]: () => plane.stop(),
  };
}
