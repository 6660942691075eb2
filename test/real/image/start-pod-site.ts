import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNetwork, forward, type Namespace, type Network } from '@sidero/testing/qemu';
import { freePorts } from '@sidero/testing';
import { dump, load, loadAll } from 'js-yaml';
import { definitionsOf } from '../cluster-api/manifests.ts';
import { providersOf } from '../cluster-api/parts.ts';
import { type RealKubeApi, startKubeApiServer, untilServed } from '../kube-apiserver.ts';
import { writeCertificate } from '../loopback.ts';
import { type ContainerOptions, type RunningContainer, startContainer } from './start-container.ts';
import { type ContainerSpec, type PodSpec, runtimeConfig } from './runtime-config.ts';
import type { UnpackedImage } from './unpack-image.ts';

const NAMESPACE = 'sidero-system';

/** An object of the bundle. */
interface Component {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly template?: { readonly spec: PodSpec }; readonly conversion?: object };
  readonly webhooks?: readonly { readonly clientConfig: { readonly service: { readonly path: string } } }[];
}

/** A management cluster of one node that has no kubelet: what it would do is done here, by a real OCI runtime. */
export interface PodSite extends AsyncDisposable {
  readonly pod: PodSpec;
  readonly api: RealKubeApi;
  /** Where the pod is; bare machines are plugged in here. */
  readonly network: Network;
  /** Another host on the link. */
  readonly host: Namespace;
  /** Where on this machine each volume is. */
  readonly volumes: ReadonlyMap<string, string>;
  /** kubectl that must succeed; its output. */
  kubectl(args: readonly string[], input?: object): Promise<string>;
  /** Starts a container of the pod; `given` overrides what its spec says. */
  start(name: string, given?: Partial<ContainerSpec>): Promise<RunningContainer>;
}

/** What a site is made of. */
export interface PodSiteOptions {
  readonly image: UnpackedImage;
  /** The bundle's YAML, with its placeholders filled. */
  readonly components: string;
}

/** Installs the bundle on a real API server and makes what its pod needs; starts no container. */
export async function startPodSite(options: PodSiteOptions): Promise<PodSite> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'sidero-pod-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const network = stack.use(await createNetwork());
  const host = await network.addHost('10.77.0.2');
  const api = await startKubeApiServer();
  stack.defer(() => api.close());
  const apiPort = Number(new URL(api.url).port);
  const [webhookPort = 0] = await freePorts(1);
  await network.bring(apiPort);
  stack.use(await forward(network, { port: webhookPort, insidePort: 9443, dir: folder, clients: 'outside' }));
  const kubectl = (args: readonly string[], input?: object) => kubectlOf(api, args, input);
  const certificates = await folderOf(folder, 'cert', 0o755);
  const ca = await writeCertificate(certificates);
  const components = loadAll(options.components) as Component[];
  await install(kubectl, components, { url: `https://127.0.0.1:${webhookPort}`, ca });
  await untilServed(api);
  const pod = components.find(({ kind }) => kind === 'Deployment')!.spec!.template!.spec;
  const place = {
    fields: { 'status.hostIP': network.address, 'metadata.namespace': NAMESPACE },
    volumes: await volumesOf(pod, folder),
    account: await accountFolder(kubectl, { folder, ca: api.ca }),
    service: { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(apiPort) },
  };
  const containers = stack.use(new Containers());
  const kept = stack.move();
  return {
    pod,
    api,
    network,
    host,
    volumes: place.volumes,
    kubectl,
    start: (name, given = {}) => {
      const spec = { ...pod.containers.find((one) => one.name === name)!, ...given };
      const config = runtimeConfig(spec, { pod, place, image: options.image.config });
      return containers.start({ name: spec.name, rootfs: options.image.rootfs, config, folder, network });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

class Containers implements AsyncDisposable {
  readonly #running: RunningContainer[] = [];

  async start(options: ContainerOptions): Promise<RunningContainer> {
    const container = await startContainer(options);
    this.#running.push(container);
    return container;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running.map((container) => container.remove()));
  }
}

async function kubectlOf(api: RealKubeApi, args: readonly string[], input?: object): Promise<string> {
  const { code, stdout, stderr } = await api.kubectl(args, input && JSON.stringify(input));
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

type Kubectl = (args: readonly string[], input?: object) => Promise<string>;

/** What clusterctl, cert-manager and kube-proxy would do: the bundle is there, and the API finds its webhooks. Cluster API's kinds are there, too. */
async function install(kubectl: Kubectl, components: readonly Component[], webhooks: { readonly url: string; readonly ca: string }): Promise<void> {
  const caBundle = Buffer.from(webhooks.ca).toString('base64');
  const ours = components
    .filter(({ kind }) => !['Certificate', 'Issuer'].includes(kind))
    .map((component) => withUrls(component, { url: webhooks.url, caBundle }));
  const [core] = providersOf('1.10');
  const theirs = (await definitionsOf(core!, webhooks)).map(({ spec, ...rest }) => ({
    ...rest,
    spec: { ...spec, conversion: { strategy: 'None' } },
  }));
  const list = { apiVersion: 'v1', kind: 'List', items: [...ours, ...theirs] };
  await kubectl(['apply', '--server-side', '-f', '-'], list);
}

/** The services that webhooks are reached by, turned into URLs. */
function withUrls(component: Component, { url, caBundle }: { readonly url: string; readonly caBundle: string }): object {
  const text = dump(component, { noRefs: true });
  const changed = load(text) as { spec?: { conversion?: { webhook?: { clientConfig: ClientConfig } } }; webhooks?: { clientConfig: ClientConfig }[] };
  const configs = [changed.spec?.conversion?.webhook, ...(changed.webhooks ?? [])].filter((one) => one !== undefined);
  for (const config of configs) config.clientConfig = { url: `${url}${config.clientConfig.service?.path ?? ''}`, caBundle };
  return changed;
}

interface ClientConfig {
  readonly service?: { readonly path: string };
  readonly url?: string;
  readonly caBundle?: string;
}

/** As the kubelet makes them: a Secret is the cluster's, an empty folder is everybody's, both belong to the pod's group. */
async function volumesOf({ volumes, securityContext }: PodSpec, folder: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const { name, secret, configMap, hostPath, emptyDir } of volumes) {
    if (hostPath) found.set(name, hostPath.path);
    else if (secret) found.set(name, join(folder, name));
    else if (configMap?.optional) found.set(name, await folderOf(folder, name, 0o755));
    else if (emptyDir) {
      const shared = await folderOf(folder, name, 0o777);
      await chown(shared, 0, securityContext?.fsGroup ?? 0);
      await chmod(shared, 0o2777);
      found.set(name, shared);
    } else throw new Error(`volume ${name} is of a kind that is not known here`);
  }
  return found;
}

async function accountFolder(kubectl: Kubectl, { folder, ca }: { readonly folder: string; readonly ca: string }): Promise<string> {
  await kubectl(['create', 'serviceaccount', 'default', '-n', NAMESPACE]);
  const token = (await kubectl(['create', 'token', 'default', '-n', NAMESPACE, '--duration=1h'])).trim();
  const account = await folderOf(folder, 'account', 0o755);
  await Promise.all(Object.entries({ token, 'ca.crt': ca, namespace: NAMESPACE }).map(([name, text]) => writeFile(join(account, name), text)));
  return account;
}

async function folderOf(folder: string, name: string, mode: number): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  await chmod(path, mode);
  return path;
}
