import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KubeConfig } from '@kubernetes/client-node';
import {
  coreCustomResources,
  createLogger,
  createMetrics,
  createResourceClient,
  type CustomResource,
  type CustomResourceDefinition,
  LeaseKind,
  type ResourceClient,
  type ServerBinding,
  ServerBindingKind,
} from '@sidero/core';
import { createNamespace, forward, type ManagementPlane, type Namespace, type Place, startManagementPlane } from '@sidero/testing/qemu';
import { load } from 'js-yaml';
import { installKinds, type RealKubeApi, startKubeApiServer } from '../kube-apiserver.ts';
import { startTalosMachines, type TalosMachines } from '../talos/talos-machines.ts';
import { addressOf, bindServer, metalMachineOf, uuidOf } from './link-site.ts';
import { KINDS, type Observed } from './observer.ts';

/** What machines are told: it is wherever the site puts it. */
export const ADDRESS = '10.97.0.1';
const NODES = '10.97.0.2';
const OWN_ADDRESSES = { one: '10.97.0.11', other: '10.97.0.12' } as const;
const NAMESPACE = 'sidero-system';
const LEASE = 'controller-leader-election-sidero-controller-manager';

export type ReplicaName = keyof typeof OWN_ADDRESSES;

/** A request of a replica that changed a ServerBinding, as the API server's audit log has it. */
export interface Write {
  readonly replica: ReplicaName;
  readonly at: Date;
  readonly server: string;
  readonly code: number;
}

/**
 * Two replicas of the management plane with the real tunnel on a real kube-apiserver, and bound machines that run Talos' stand-in: each in a network
 * namespace of its own, all on one wire. Machines know one address, which the site moves to the replica that leads, as keepalived or MetalLB would.
 */
export class TakeoverSite implements AsyncDisposable {
  readonly uuids: readonly string[];
  readonly resources: ResourceClient;
  readonly nodes: Namespace;
  readonly replicas: Readonly<Record<ReplicaName, Replica>>;
  readonly talos: TalosMachines;
  readonly #stack: AsyncDisposableStack;
  readonly #auditLog: string;

  private constructor(stack: AsyncDisposableStack, given: Prepared & { readonly servers: number }) {
    this.#stack = stack;
    this.resources = given.resources;
    this.nodes = given.nodes;
    this.replicas = given.replicas;
    this.#auditLog = given.auditLog;
    this.uuids = Array.from({ length: given.servers }, (_, index) => uuidOf(index + 1));
    this.talos = stack.use(startTalosMachines(undefined, given.nodes));
  }

  /** Replica `one` leads, and has the address; `other` waits. */
  static async start({ servers }: { readonly servers: number }): Promise<TakeoverSite> {
    const stack = new AsyncDisposableStack();
    try {
      const site = new TakeoverSite(stack, { ...(await prepare(stack)), servers });
      await site.#bindAll();
      await site.replicas.one.start();
      await site.replicas.one.leads();
      await site.replicas.other.start();
      await site.moveAddress('one');
      return site;
    } catch (thrown) {
      await stack.disposeAsync();
      throw thrown;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }

  /** Which replica the Lease names; undefined: none. */
  async holder(): Promise<ReplicaName | undefined> {
    const lease = await this.resources.get(LeaseKind, { namespace: NAMESPACE, name: LEASE }, { live: true });
    return (['one', 'other'] as const).find((name) => lease?.spec?.holderIdentity?.startsWith(`sidero-ts_${name}_`));
  }

  /** Gives a replica the address that machines know, and takes it from the other one. All on the wire are told, as keepalived does. */
  async moveAddress(to: ReplicaName): Promise<void> {
    for (const { space } of Object.values(this.replicas))
      await space.run(['sh', '-c', `ip address delete ${ADDRESS}/32 dev wire 2>/dev/null || true`]);
    const { space } = this.replicas[to];
    await space.run(['ip', 'address', 'add', `${ADDRESS}/32`, 'dev', 'wire']);
    await space.run(['busybox', 'arping', '-q', '-U', '-c', '1', '-I', 'wire', '-s', ADDRESS, ADDRESS]);
  }

  /** Switches all machines on; each waits for a configuration, and talks. `query` of a machine is added to where it joins. */
  async bootAll(query: (index: number) => string): Promise<void> {
    const { one } = this.replicas;
    const tokens = await one.get(this.uuids.map((uuid) => `http://127.0.0.1:8081/observer/token?uuid=${uuid}&name=${metalMachineOf(uuid)}`));
    const server = await addressOf(one.space, one.device);
    const sinks = [`talos.events.sink=[${server}]:4002`, `talos.logging.kernel=tcp://[${server}]:4001`];
    for (const [index, uuid] of this.uuids.entries()) {
      const kernelArgs = [`siderolink.api=${ADDRESS}:8081?jointoken=${tokens[index]}${query(index)}`, ...sinks];
      this.talos.boot({ uuid, kernelArgs, disk: join(one.folder, `${uuid}.disk`), address: '' });
    }
  }

  bindings(): Promise<readonly ServerBinding[]> {
    return this.resources.list(ServerBindingKind, {}, { live: true });
  }

  /** The stream as both replicas saw it. */
  observed(): readonly Observed[] {
    return Object.values(this.replicas).flatMap((replica) => replica.observed());
  }

  /** What the replicas wrote into ServerBindings, in time. */
  async writes(): Promise<readonly Write[]> {
    const lines = (await readFile(this.#auditLog, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
    return lines.map((line) => {
      const { user, objectRef, requestReceivedTimestamp, responseStatus } = JSON.parse(line) as AuditedWrite;
      const replica = user.username.slice(ACCOUNTS.length) as ReplicaName;
      return { replica, at: new Date(requestReceivedTimestamp), server: objectRef.name, code: responseStatus.code };
    });
  }

  async #bindAll(): Promise<void> {
    for (let index = 0; index < this.uuids.length; index += 20)
      await Promise.all(this.uuids.slice(index, index + 20).map((uuid) => bindServer(this.resources, uuid)));
  }
}

interface AuditedWrite {
  readonly user: { readonly username: string };
  readonly objectRef: { readonly name: string };
  readonly requestReceivedTimestamp: string;
  readonly responseStatus: { readonly code: number };
}

/** A replica of the management plane on a host of its own. */
export class Replica {
  readonly name: ReplicaName;
  readonly space: Namespace;
  readonly folder: string;
  /** Name of the tunnel's interface. WireGuard's sockets lie in one folder for all hosts of this test. */
  readonly device: string;
  /** What it logged, over all its lives. */
  readonly log: string[] = [];
  readonly #kubeconfig: string;
  #plane: ManagementPlane | undefined;

  constructor(given: { readonly name: ReplicaName; readonly space: Namespace; readonly folder: string; readonly kubeconfig: string }) {
    this.name = given.name;
    this.space = given.space;
    this.folder = given.folder;
    this.device = deviceOf(given.name);
    this.#kubeconfig = given.kubeconfig;
  }

  async start(): Promise<void> {
    await this.space.run(['ip', 'link', 'set', 'wire', 'up']);
    // A host of its own name: the Lease has it.
    const script = 'hostname "$0" && exec "$@"';
    const host: Place = {
      start: (command, options) => this.space.start(['unshare', '--uts', 'sh', '-c', script, this.name, ...command], options),
    };
    const env = { SIDERO_FETCH_ENVIRONMENTS: 'false', SIDERO_LOG_LEVEL: process.env['SIDERO_LOG_LEVEL'] ?? 'info' };
    this.#plane = await startManagementPlane(host, {
      config: join(this.folder, 'sidero.config.json'),
      dataDir: join(this.folder, 'data'),
      args: ['--kubeconfig', this.#kubeconfig],
      env,
      onText: (text) => void this.log.push(text),
    });
  }

  /** Settles once it leads, in this life, and has the tunnel. */
  async leads(): Promise<void> {
    await this.#plane!.line(/SideroLink is up/, { timeoutMs: 90_000 });
  }

  /** Its host loses its power: nothing of it says goodbye. */
  async die(): Promise<void> {
    await this.unplug();
    process.kill(this.#plane!.pid, 'SIGKILL');
    await this.#plane!.exited;
    await this.space.run(['ip', 'link', 'delete', 'dev', this.device]);
  }

  /** Nothing gets from its host to the machines any more, nor back. */
  async unplug(): Promise<void> {
    await this.space.run(['ip', 'link', 'set', 'wire', 'down']);
  }

  /** Ends as when it is told to. */
  async stop(): Promise<void> {
    await this.#plane?.stop();
  }

  freeze(): void {
    process.kill(this.#plane!.pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.#plane!.pid, 'SIGCONT');
  }

  /** What its host gets from URLs. */
  async get(urls: readonly string[]): Promise<readonly string[]> {
    const script = 'Promise.all(process.argv.slice(1).map(async (url) => (await fetch(url)).text())).then((all) => console.log(JSON.stringify(all)))';
    return JSON.parse(await this.space.run([process.execPath, '--eval', script, ...urls])) as string[];
  }

  /** The peers that its WireGuard has: address by key. */
  async peers(): Promise<ReadonlyMap<string, string>> {
    const text = await this.space.run(['wg', 'show', this.device, 'allowed-ips']);
    const rows = text.split('\n').filter((line) => line !== '');
    return new Map(rows.map((line) => line.split('\t') as [string, string]));
  }

  /** What of the tunnel is on its host: the interface, and sockets on WireGuard's port and on those inside. */
  async tunnelParts(): Promise<readonly string[]> {
    const links = JSON.parse(await this.space.run(['ip', '-j', 'link', 'show'])) as { ifname: string }[];
    const sockets = await this.space.run(['ss', '-Hnlut']);
    return [
      ...links.map(({ ifname }) => ifname).filter((name) => name === this.device),
      ...sockets.split('\n').filter((line) => /:(51821|4001|4002)\s/.test(line)),
    ];
  }

  /** Connections of machines through the tunnel, by their address: its port and theirs, `4002/51234`. */
  async connections(): Promise<ReadonlyMap<string, readonly string[]>> {
    const found = new Map<string, string[]>();
    for (const { own, address, port } of await this.#established()) found.set(address, [...(found.get(address) ?? []), `${own}/${port}`]);
    return found;
  }

  /** How many of those to a port of its have something that nobody has read yet. */
  async unreadConnections(port: number): Promise<number> {
    return (await this.#established()).filter(({ own, unread }) => own === String(port) && unread !== '0').length;
  }

  async #established(): Promise<readonly { unread: string; own: string; address: string; port: string }[]> {
    const rows = await this.space.run(['ss', '-Hnt', 'state', 'established', '( sport = :4001 or sport = :4002 )']);
    return rows.split('\n').flatMap((row) => {
      const [, unread = '', own = '', address = '', port = ''] = /^(\d+)\s+\d+\s+\S+:(\d+)\s+\[(\S+)\]:(\d+)/.exec(row.trim()) ?? [];
      return port === '' ? [] : [{ unread, own, address, port }];
    });
  }

  /** The stream as it saw it, over all its lives. */
  observed(): readonly Observed[] {
    const file = streamFile(this.folder);
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Observed);
  }
}

/** What is under a site before anything runs. */
interface Prepared {
  readonly auditLog: string;
  readonly nodes: Namespace;
  readonly resources: ResourceClient;
  readonly replicas: Readonly<Record<ReplicaName, Replica>>;
}

const ACCOUNTS = `system:serviceaccount:${NAMESPACE}:`;

async function prepare(stack: AsyncDisposableStack): Promise<Prepared> {
  const folder = await mkdtemp(join(tmpdir(), 'takeover-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const { api, auditLog } = await startAuditedApi(folder);
  stack.defer(() => api.close());
  await installKinds(api, [...coreCustomResources(), ...KINDS.map(customResource)]);
  const nodes = stack.use(await createNamespace());
  await nodes.run(
    ['ip', '-batch', '-'],
    `link set lo up\nlink add wire type bridge stp_state 0\naddress add ${NODES}/24 dev wire\nlink set wire up\n`,
  );
  // Where the kernel can be told, machines with gRPC streams notice within 2 s that the address is somewhere else; by itself their TCP asks up to 50 s later.
  await nodes.run(['sh', '-c', 'echo 2000 2>/dev/null >/proc/sys/net/ipv4/tcp_rto_max_ms || true']);
  const replica = async (name: ReplicaName) => {
    const made = await prepareReplica({ name, api, nodes, folder: join(folder, name), stack });
    stack.defer(() => made.stop());
    return made;
  };
  return { auditLog, nodes, resources: clientOf(api, stack), replicas: { one: await replica('one'), other: await replica('other') } };
}

function customResource(file: URL): CustomResource {
  const definition = load(readFileSync(file, 'utf8')) as CustomResourceDefinition;
  return { name: definition.metadata.name, definition };
}

/** An API server that writes down who changes ServerBindings, and knows an account for each replica. */
async function startAuditedApi(folder: string): Promise<{ api: RealKubeApi; auditLog: string }> {
  const [policy, auditLog] = [join(folder, 'audit-policy.json'), join(folder, 'audit.log')];
  const users = Object.keys(OWN_ADDRESSES).map((name) => `${ACCOUNTS}${name}`);
  const resources = [{ group: 'infrastructure.cluster.x-k8s.io', resources: ['serverbindings', 'serverbindings/status'] }];
  const verbs = ['create', 'update', 'patch', 'delete'];
  const rules = [{ level: 'Metadata', users, resources, verbs }, { level: 'None' }];
  await writeFile(policy, JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules }));
  const api = await startKubeApiServer({ flags: { 'audit-policy-file': policy, 'audit-log-path': auditLog } });
  await kubectl(api, ['create', 'namespace', NAMESPACE]);
  const group = `--group=system:serviceaccounts:${NAMESPACE}`;
  await kubectl(api, ['create', 'clusterrolebinding', 'replicas', '--clusterrole=cluster-admin', group]);
  return { api, auditLog };
}

async function kubectl(api: RealKubeApi, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await api.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

interface ReplicaPlan {
  readonly name: ReplicaName;
  readonly api: RealKubeApi;
  readonly nodes: Namespace;
  readonly folder: string;
  readonly stack: AsyncDisposableStack;
}

async function prepareReplica({ name, api, nodes, folder, stack }: ReplicaPlan): Promise<Replica> {
  await mkdir(folder);
  const space = stack.use(await createNamespace(nodes));
  await nodes.run(['ip', '-batch', '-'], `link add ${name} type veth peer name wire netns ${space.pid}\nlink set ${name} master wire up\n`);
  await space.run(['ip', '-batch', '-'], `link set lo up\naddress add ${OWN_ADDRESSES[name]}/24 dev wire\nlink set wire up\n`);
  stack.use(await forward(space, { port: Number(new URL(api.url).port), dir: folder, clients: 'inside' }));
  await writeFile(join(folder, 'sidero.config.json'), configOf(name, folder));
  await kubectl(api, ['create', 'serviceaccount', name, '-n', NAMESPACE]);
  const token = (await kubectl(api, ['create', 'token', name, '-n', NAMESPACE, '--duration=24h'])).trim();
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, kubeConfigOf(api, token).exportConfig(), { mode: 0o600 });
  return new Replica({ name, space, folder, kubeconfig });
}

function configOf(name: ReplicaName, folder: string): string {
  const plugin = (from: string, given: object) => ({ from: fileURLToPath(import.meta.resolve(from)), options: given });
  const plugins = [
    plugin('@sidero/plugin-siderolink', { tunnel: 'user-space', interface: deviceOf(name) }),
    plugin('./observer.ts', { file: streamFile(folder), bringsKinds: false }),
  ];
  return JSON.stringify({ endpoint: ADDRESS, healthAddress: 'off', diagnosticsAddress: 'off', plugins });
}

function deviceOf(name: ReplicaName): string {
  return `${name}${process.pid}`;
}

function streamFile(folder: string): string {
  return join(folder, 'stream');
}

function kubeConfigOf({ url, ca }: RealKubeApi, token: string): KubeConfig {
  const config = new KubeConfig();
  const cluster = { name: 'management', server: url, caData: Buffer.from(ca).toString('base64'), skipTLSVerify: false };
  config.loadFromClusterAndUser(cluster, { name: 'sidero', token });
  return config;
}

function clientOf(api: RealKubeApi, stack: AsyncDisposableStack): ResourceClient {
  const client = createResourceClient({
    kubeConfig: () => api.kubeConfig,
    log: createLogger({ level: 'silent' }),
    metrics: createMetrics(),
    component: 'test',
  });
  stack.defer(() => client.close());
  return client;
}
