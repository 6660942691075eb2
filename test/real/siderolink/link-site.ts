import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { KubeConfig } from '@kubernetes/client-node';
import {
  createLogger,
  createMetrics,
  createResourceClient,
  type Kind,
  type KubeObject,
  type ResourceClient,
  type ServerBinding,
  ServerBindingKind,
  ServerKind,
} from '@sidero/core';
import { ProvisionRequestSchema, type ProvisionResponse, ProvisionService, serviceDefinition } from '@sidero/plugin-siderolink/protocol';
import { aBinding, aServer, freePorts } from '@sidero/testing';
import { createNamespace, forward, type ManagementPlane, type Namespace, type Place, startManagementPlane } from '@sidero/testing/qemu';
import { streamAt } from '../../journeys/siderolink-provision/plane.ts';
import { type LinkEventName, startTalosMachines, type TalosBoot, type TalosEvent, type TalosMachines } from '../talos/talos-machines.ts';
import type { Observed } from './observer.ts';

/** Of the management plane on the wire. */
export const SERVER = '10.98.0.1';
const NODES = '10.98.0.2';
const NAME = 'sidero.test';
const CLUSTER = 'rack-1';

const MetalMachineKind: Kind<KubeObject> = {
  apiVersion: 'infrastructure.cluster.x-k8s.io/v1alpha3',
  kind: 'MetalMachine',
  plural: 'metalmachines',
  namespaced: true,
};

const MachineKind: Kind<KubeObject> = { apiVersion: 'cluster.x-k8s.io/v1beta1', kind: 'Machine', plural: 'machines', namespaced: true };

export interface LinkSiteOptions {
  /** How many bound servers there are. */
  readonly servers: number;
  /** More addresses at which machines reach us; we are then told a name that has all of them. */
  readonly moreAddresses?: readonly string[];
  /** Kernel logs are counted, and not written down. */
  readonly isCounting?: boolean;
}

/**
 * The management plane with the real tunnel in one network namespace, and bound machines that run Talos' stand-in in another, without rights; a
 * wire between them.
 */
export class LinkSite implements AsyncDisposable {
  /** Name of the tunnel's interface. */
  readonly device = `lk${process.pid}`;
  readonly uuids: readonly string[];
  /** What the management plane logged, over all its lives. */
  readonly log: string[] = [];
  readonly resources: ResourceClient;
  readonly server: Namespace;
  readonly nodes: Namespace;
  readonly talos: TalosMachines;
  readonly #stack: AsyncDisposableStack;
  readonly #given: Prepared;
  readonly #client: Client;
  readonly #tokens = new Map<string, string>();
  #plane: ManagementPlane;
  #address = '';

  private constructor(stack: AsyncDisposableStack, given: Prepared, started: { plane: ManagementPlane; resources: ResourceClient }) {
    this.#stack = stack;
    this.#given = given;
    this.#plane = started.plane;
    this.resources = started.resources;
    this.server = given.server;
    this.nodes = given.nodes;
    this.log = given.log;
    this.uuids = Array.from({ length: given.options.servers }, (_, index) => uuidOf(index + 1));
    this.talos = stack.use(startTalosMachines(undefined, given.nodes));
    this.#client = new Client(`127.0.0.1:${given.http}`, credentials.createInsecure());
    stack.defer(() => this.#client.close());
  }

  static async start(options: LinkSiteOptions): Promise<LinkSite> {
    const stack = new AsyncDisposableStack();
    try {
      const given = await prepare(stack, options);
      const plane = await startPlane(given);
      const resources = clientOf(given, stack);
      const site = new LinkSite(stack, given, { plane, resources });
      // Before the API goes: what a client waits for then would be waited for.
      stack.defer(() => site.#plane.stop());
      await site.#bindAll();
      return site;
    } catch (thrown) {
      await stack.disposeAsync();
      throw thrown;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }

  /** Of the server in the tunnel. */
  get serverAddress(): string {
    return this.#address;
  }

  get api(): string {
    return `${SERVER}:${this.#given.http}`;
  }

  /** Resident memory of the management plane and of WireGuard, in MiB. */
  memoryMiB(): { readonly manager: number; readonly wireguard: number } {
    return { manager: residentMiB(this.#plane.pid), wireguard: residentMiB(this.wireguardPid()) };
  }

  /** The process that is the tunnel. */
  wireguardPid(): number {
    const wanted = `wireguard-go\0-f\0${this.device}\0`;
    const found = readdirSync('/proc').find((name) => /^\d+$/.test(name) && commandLine(name).endsWith(wanted));
    if (!found) throw new Error(`no wireguard-go for ${this.device} is running`);
    return Number(found);
  }

  /** Keys of the peers that WireGuard has. */
  async peers(): Promise<readonly string[]> {
    const text = await this.server.run(['wg', 'show', this.device, 'peers']);
    return text.split('\n').filter((key) => key !== '');
  }

  /** What a network boot tells the machine. */
  async kernelArgs(uuid: string, given: { readonly token?: string; readonly query?: string } = {}): Promise<readonly string[]> {
    const token = given.token ?? (await this.token(uuid));
    return [
      `siderolink.api=${this.api}?jointoken=${token}${given.query ?? ''}`,
      `talos.events.sink=[${this.serverAddress}]:4002`,
      `talos.logging.kernel=tcp://[${this.serverAddress}]:4001`,
    ];
  }

  /** The join token of a binding. */
  async token(uuid: string): Promise<string> {
    const known = this.#tokens.get(uuid);
    if (known) return known;
    const token = await (await fetch(`http://127.0.0.1:${this.#given.http}/observer/token?uuid=${uuid}&name=${metalMachineOf(uuid)}`)).text();
    this.#tokens.set(uuid, token);
    return token;
  }

  /** Switches a machine on; it waits for a configuration, and talks. */
  async boot(uuid: string, more: Partial<TalosBoot> = {}, talos = this.talos): Promise<void> {
    const disk = join(this.#given.dir, `${uuid}.disk`);
    talos.boot({ uuid, kernelArgs: await this.kernelArgs(uuid), disk, address: '', ...more });
  }

  /** Joins as a machine with a new key would, and goes no further. @throws what is answered */
  async provision(uuid: string): Promise<ProvisionResponse> {
    const { publicKey } = generateKeyPairSync('x25519');
    const nodePublicKey = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('base64');
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(ProvisionService)['provision']!;
    const request = create(ProvisionRequestSchema, { nodeUuid: uuid, nodePublicKey, joinToken: await this.token(uuid) });
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) =>
        error ? reject(error) : resolve(answer as ProvisionResponse),
      );
    });
  }

  /** Opens a stream of WireGuard's packets as the machine that is told to be at `virtual`, until `signal` aborts. @throws the gRPC status */
  openStream(virtual: string, signal: AbortSignal): Promise<void> {
    return streamAt(this.#given.http, virtual, signal);
  }

  /** The stream as the management plane saw it, over all its lives. */
  observed(): readonly Observed[] {
    if (!existsSync(this.#given.streamFile)) return [];
    const lines = readFileSync(this.#given.streamFile, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Observed);
  }

  /** The lines of a machine's events that are kept, over all lives of the management plane. */
  keptEvents(uuid: string): string {
    const folder = join(this.#given.dir, 'data', 'events', uuid);
    return readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('');
  }

  /** How many kernel log records came out, in this life of the management plane. */
  async logCount(): Promise<number> {
    return Number(await (await fetch(`http://127.0.0.1:${this.#given.http}/observer/logs`)).text());
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.#given.diagnostics}/metrics`)).text();
  }

  /** kill -9; what it started is left to itself. */
  async kill(): Promise<void> {
    process.kill(this.#plane.pid, 'SIGKILL');
    await this.#plane.exited;
  }

  stop(): Promise<void> {
    return this.#plane.stop();
  }

  /** Starts the management plane again. */
  async restart(): Promise<void> {
    this.#plane = await startPlane(this.#given);
  }

  binding(uuid: string): Promise<ServerBinding | undefined> {
    return this.resources.get(ServerBindingKind, { name: uuid });
  }

  async #bindAll(): Promise<void> {
    for (let index = 0; index < this.uuids.length; index += 20)
      await Promise.all(this.uuids.slice(index, index + 20).map((uuid) => bindServer(this.resources, uuid)));
    this.#address = await addressOf(this.server, this.device);
  }
}

/** What is under a site before anything runs. */
interface Prepared {
  readonly options: LinkSiteOptions;
  readonly dir: string;
  readonly streamFile: string;
  readonly server: Namespace;
  readonly nodes: Namespace;
  readonly http: number;
  readonly diagnostics: number;
  readonly config: string;
  readonly log: string[];
}

async function prepare(stack: AsyncDisposableStack, options: LinkSiteOptions): Promise<Prepared> {
  const dir = await mkdtemp(join(tmpdir(), 'siderolink-'));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const server = stack.use(await createNamespace());
  const nodes = stack.use(await createNamespace(server));
  await wire(server, nodes);
  const [api, http, diagnostics] = (await freePorts(3)) as [number, number, number];
  for (const port of [api, http, diagnostics]) stack.use(await forward(server, { port, dir, clients: 'outside' }));
  const streamFile = join(dir, 'stream');
  const config = join(dir, 'sidero.config.json');
  const plugin = (name: string, given: object) => ({ from: fileURLToPath(import.meta.resolve(name)), options: given });
  const plugins = [
    plugin('@sidero/plugin-apiserver', { port: api }),
    plugin('@sidero/plugin-siderolink', { tunnel: 'user-space', interface: `lk${process.pid}` }),
    plugin('./observer.ts', { file: streamFile, isCounting: options.isCounting ?? false }),
  ];
  const endpoint = options.moreAddresses ? NAME : SERVER;
  const site = { endpoint, apiPort: http, healthAddress: 'off', diagnosticsAddress: `127.0.0.1:${diagnostics}`, insecureDiagnostics: true };
  await writeFile(config, JSON.stringify({ ...site, plugins }));
  return { options, dir, streamFile, server, nodes, http, diagnostics, config, log: [] };
}

async function wire(server: Namespace, nodes: Namespace): Promise<void> {
  await server.run(['ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', String(nodes.pid)]);
  for (const [space, address] of [
    [server, SERVER],
    [nodes, NODES],
  ] as const) {
    await space.run(['ip', 'address', 'add', `${address}/24`, 'dev', 'wire']);
    for (const link of ['lo', 'wire']) await space.run(['ip', 'link', 'set', link, 'up']);
  }
}

async function startPlane({ server, dir, config, log, options }: Prepared): Promise<ManagementPlane> {
  const env = { SIDERO_FETCH_ENVIRONMENTS: 'false', SIDERO_LOG_LEVEL: process.env['SIDERO_LOG_LEVEL'] ?? 'info' };
  const place = options.moreAddresses ? await placeWithNames(server, { dir, addresses: [SERVER, ...options.moreAddresses] }) : server;
  return startManagementPlane(place, { config, dataDir: join(dir, 'data'), env, onText: (text) => void log.push(text) });
}

/** The namespace, and in it for whoever is started a file of names of its own. */
async function placeWithNames(server: Namespace, { dir, addresses }: { dir: string; addresses: readonly string[] }): Promise<Place> {
  const hosts = join(dir, 'hosts');
  await writeFile(hosts, `127.0.0.1 localhost\n${addresses.map((address) => `${address} ${NAME}\n`).join('')}`);
  const script = 'mount --bind "$0" /etc/hosts && exec "$@"';
  return { start: (command, options) => server.start(['unshare', '--mount', 'sh', '-c', script, hosts, ...command], options) };
}

function clientOf({ dir }: Prepared, stack: AsyncDisposableStack): ResourceClient {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(join(dir, 'data', 'kubeconfig'));
  const client = createResourceClient({
    kubeConfig: async () => kubeConfig,
    log: createLogger({ level: 'silent' }),
    metrics: createMetrics(),
    component: 'test',
  });
  stack.defer(() => client.close());
  return client;
}

/** Of the server in the tunnel, once the interface has it. */
export async function addressOf(server: Namespace, device: string): Promise<string> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const text = await server.run(['ip', '-j', '-6', 'address', 'show', 'dev', device, 'scope', 'global']).catch(() => '[]');
    const [link] = JSON.parse(text || '[]') as { addr_info?: { local?: string }[] }[];
    const address = link?.addr_info?.find(({ local }) => local)?.local;
    if (address) return address;
    if (Date.now() > deadline) throw new Error(`${device} has no address`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

/** Makes a server that is bound to a machine of the cluster. */
export async function bindServer(resources: ResourceClient, uuid: string): Promise<void> {
  const name = metalMachineOf(uuid);
  const { apiVersion, kind } = MachineKind;
  const machine = await resources.create(MachineKind, { apiVersion, kind, metadata: { name: machineOf(uuid), namespace: 'default' } });
  const ownerReferences = [{ apiVersion, kind, name: machineOf(uuid), uid: machine.metadata.uid! }];
  const metadata = { name, namespace: 'default', labels: { 'cluster.x-k8s.io/cluster-name': CLUSTER }, ownerReferences };
  await resources.create(MetalMachineKind, { apiVersion: MetalMachineKind.apiVersion, kind: MetalMachineKind.kind, metadata });
  await resources.create(ServerKind, aServer({ metadata: { name: uuid } }));
  const spec = { metalMachineRef: { kind: 'MetalMachine', namespace: 'default', name } };
  await resources.create(ServerBindingKind, aBinding({ metadata: { name: uuid }, spec }));
}

/** The events of that name, of one machine or of all. */
export function told(talos: TalosMachines, event: LinkEventName | TalosEvent['event'], uuid?: string): readonly TalosEvent[] {
  return talos.events.filter((one) => one.event === event && (uuid === undefined || one.uuid === uuid));
}

export function uuidOf(index: number): string {
  return `4c4c4544-0051-4c10-8000-${index.toString(16).padStart(12, '0')}`;
}

export function metalMachineOf(uuid: string): string {
  return `${CLUSTER}-metal-${uuid.slice(-6)}`;
}

export function machineOf(uuid: string): string {
  return `${CLUSTER}-machine-${uuid.slice(-6)}`;
}
