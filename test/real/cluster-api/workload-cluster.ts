import { markTrue, type ResourceClient, ServerBindingKind } from '@sidero/core';
import { readAuthority, type RealKubeApi, startKubeApiServer } from '../kube-apiserver.ts';
import type { TalosEvent, TalosNode } from '../talos/talos-machines.ts';
import type { ManagementCluster } from './management-cluster.ts';

/** What it needs of the management cluster. */
type Management = Pick<ManagementCluster, 'resources' | 'kubectl'>;

/**
 * The cluster that is made, as far as Talos' stand-in does not play it: its API, which is a real one and starts when its etcd is bootstrapped,
 * the Nodes of its machines, and what they tell over SideroLink.
 */
export class WorkloadCluster implements AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly #management: () => Management;
  readonly #sideroLink: 'played' | 'real';
  readonly #nodes = new Map<string, TalosNode>();
  #api: RealKubeApi | undefined;
  #work: Promise<void> = Promise.resolve();

  /** `management` is asked for when the first machine tells something. Default: what machines tell over SideroLink is played. */
  constructor(given: {
    readonly name: string;
    readonly port: number;
    readonly management: () => Management;
    readonly sideroLink?: 'played' | 'real';
  }) {
    this.name = given.name;
    this.port = given.port;
    this.#management = given.management;
    this.#sideroLink = given.sideroLink ?? 'played';
  }

  /** Its API. @throws while there is none */
  get api(): RealKubeApi {
    if (!this.#api) throw new Error(`the API of ${this.name} has not started`);
    return this.#api;
  }

  /** Goes on with what a machine told, one thing after the other. */
  tell(event: TalosEvent): void {
    this.#work = this.#work.then(() => this.#follow(event));
    this.#work.catch(() => {});
  }

  /** Resolves when all that was told is done. @throws what went wrong */
  async settled(): Promise<void> {
    await this.#work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work.catch(() => {});
    await this.#api?.close();
  }

  async #follow(event: TalosEvent): Promise<void> {
    if (this.#sideroLink === 'played') await reportBySideroLink(this.#management().resources, event);
    if (event.event === 'running') this.#nodes.set(event.uuid, event.node!);
    if (event.event === 'bootstrapped') this.#api ??= await this.#startApi();
    if (this.#api) for (const [uuid, node] of this.#nodes) await this.#register(uuid, node);
  }

  async #startApi(): Promise<RealKubeApi> {
    const secret = await this.#management().kubectl(['get', 'secret', `${this.name}-ca`, '-n', 'default', '-o', 'json']);
    const { data } = JSON.parse(secret) as { data: Record<'tls.crt' | 'tls.key', string> };
    const [certificate, key] = [data['tls.crt'], data['tls.key']].map((text) => Buffer.from(text, 'base64').toString()) as [string, string];
    return startKubeApiServer({ port: this.port, authority: await readAuthority({ certificate, key }) });
  }

  /** As a kubelet does. */
  async #register(uuid: string, { name, labels, address }: TalosNode): Promise<void> {
    this.#nodes.delete(uuid);
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } };
    const now = new Date().toISOString();
    const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'played', lastHeartbeatTime: now, lastTransitionTime: now };
    const addresses = [
      { type: 'InternalIP', address },
      { type: 'Hostname', address: name },
    ];
    const status = { conditions: [ready], addresses, nodeInfo: { kubeletVersion: 'v1.35.4', osImage: 'Talos (played)' } };
    for (const [args, input] of [
      [['apply', '-f', '-'], node],
      [['apply', '--server-side', '--subresource=status', '-f', '-'], { ...node, status }],
    ] as const) {
      const { code, stderr } = await this.api.kubectl(args, JSON.stringify(input));
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    }
  }
}

const TOLD = new Map<TalosEvent['event'], readonly string[]>([
  ['config', ['TalosConfigLoaded', 'TalosConfigValidated']],
  ['installed', ['TalosInstalled']],
]);

/** Writes to the ServerBinding what Talos tells over SideroLink. */
async function reportBySideroLink(resources: ResourceClient, { uuid, event, node }: TalosEvent): Promise<void> {
  const conditions = TOLD.get(event);
  if (!conditions && !node) return;
  await resources.change(ServerBindingKind, { name: uuid }, (draft) => {
    if (node) draft.spec = { ...draft.spec!, addresses: [node.address], hostname: node.name };
    for (const type of conditions ?? []) draft.status = { ...draft.status, conditions: markTrue(draft.status?.conditions, type, new Date()) };
  });
}
