import {
  createResourceClient,
  inlineKubeConfig,
  type Kind,
  type KubeObject,
  type Logger,
  messageOf,
  type Metrics,
  type Ref,
  type ResourceClient,
  type RunningResourceClient,
  SecretKind,
} from '@sidero/core';
import { adviceOf, failure } from '../errors.ts';
import { keyOf } from '../kinds.ts';
import { COMPONENT } from './contract.ts';

/** core/v1 Node, as far as we read it. */
export interface Node extends KubeObject {
  spec?: { providerID?: string };
}

export const NodeKind: Kind<Node> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };

export interface WorkloadClustersOptions {
  readonly resources: ResourceClient;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Connections that are kept; the longest unused goes first. Default 64. */
  readonly most?: number;
  /** A call that was not answered by then has failed. Default 10 s. */
  readonly callTimeoutMs?: number;
  /** After a failure nobody tries for this long, and then one: machines of a cluster that is away must not all wait for it. Default 15 s, longer than a call. */
  readonly restMs?: number;
  readonly now?: () => number;
}

/** A cluster that nobody has asked for longer than this is not away, but gone. */
const FORGOTTEN_MS = 10 * 60_000;

interface Connection {
  /** Version of the Secret that it was made from. */
  readonly version: string | undefined;
  readonly client: RunningResourceClient;
}

interface Rest {
  readonly untilMs: number;
  readonly problem: string;
}

/** The APIs of the clusters that were made here, reached by the Secret `<cluster>-kubeconfig` beside each Cluster. */
export class WorkloadClusters implements AsyncDisposable {
  readonly #options: WorkloadClustersOptions;
  /** The longest unused first. */
  readonly #connections = new Map<string, Connection>();
  readonly #resting = new Map<string, Rest>();
  readonly #countAway: (count: number) => void;

  constructor(options: WorkloadClustersOptions) {
    this.#options = options;
    this.#countAway = options.metrics.gauge('sidero_workload_clusters_away', 'Clusters made here whose API cannot be used.');
  }

  /**
   * Does something with the API of a cluster.
   * @throws SIDERO_WORKLOAD_CLUSTER_AWAY
   */
  async use<R>(cluster: Ref, work: (client: ResourceClient) => Promise<R>): Promise<R> {
    const { restMs = 15_000, now = Date.now } = this.#options;
    const key = keyOf(cluster);
    const resting = this.#restOf(key);
    if (resting) throw resting;
    // One asks whether it is back; the others are told what is known, and do not hang with it.
    const before = this.#resting.get(key);
    if (before) this.#resting.set(key, { ...before, untilMs: now() + restMs });
    try {
      const done = await work(await this.#clientOf(cluster, key));
      this.#back(key);
      return done;
    } catch (cause) {
      const problem = messageOf(cause).replace(/\.$/, '');
      this.#away(key, { untilMs: now() + restMs, problem });
      throw failure('SIDERO_WORKLOAD_CLUSTER_AWAY', { cluster: key, problem, cause });
    }
  }

  /** Why `use` would not even try now; undefined when it would. */
  trouble(cluster: Ref): string | undefined {
    const rest = this.#restOf(keyOf(cluster));
    return rest && adviceOf(rest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#connections.values()];
    this.#connections.clear();
    await Promise.all(open.map(({ client }) => client.close()));
  }

  // Told once an outage: each of its machines finds it.
  #away(key: string, rest: Rest): void {
    if (this.#resting.get(key)?.problem !== rest.problem)
      this.#options.log.warn({ cluster: key, problem: rest.problem }, 'the API of a cluster cannot be used');
    this.#resting.set(key, rest);
    // One that was deleted meanwhile is asked for by nobody any more.
    for (const [other, { untilMs }] of this.#resting) if (untilMs < rest.untilMs - FORGOTTEN_MS) this.#resting.delete(other);
    this.#countAway(this.#resting.size);
  }

  #back(key: string): void {
    if (!this.#resting.delete(key)) return;
    this.#options.log.info({ cluster: key }, 'the API of a cluster answers again');
    this.#countAway(this.#resting.size);
  }

  #restOf(key: string): Error | undefined {
    const { now = Date.now } = this.#options;
    const rest = this.#resting.get(key);
    return rest && rest.untilMs > now() ? failure('SIDERO_WORKLOAD_CLUSTER_AWAY', { cluster: key, problem: rest.problem }) : undefined;
  }

  async #clientOf(cluster: Ref, key: string): Promise<ResourceClient> {
    const secretName = `${cluster.name}-kubeconfig`;
    const secret = await this.#options.resources.get(SecretKind, { ...cluster, name: secretName }, { live: true });
    const value = secret?.data?.['value'];
    if (value === undefined) throw new Error(`there is no Secret ${cluster.namespace}/${secretName} with a kubeconfig as its value yet`);
    const version = secret?.metadata.resourceVersion;
    const known = this.#connections.get(key);
    if (known?.version === version && known) return this.#keep(key, known);
    await known?.client.close();
    const { log, metrics, callTimeoutMs = 10_000 } = this.#options;
    const kubeConfig = inlineKubeConfig(Buffer.from(value, 'base64').toString('utf8'));
    const client = createResourceClient({ kubeConfig: () => kubeConfig, log, metrics, component: COMPONENT, callTimeoutMs });
    return this.#keep(key, { version, client });
  }

  #keep(key: string, connection: Connection): ResourceClient {
    this.#connections.delete(key);
    this.#connections.set(key, connection);
    const [oldest] = this.#connections;
    if (oldest && this.#connections.size > (this.#options.most ?? 64)) {
      this.#connections.delete(oldest[0]);
      void oldest[1].client.close();
    }
    return connection.client;
  }
}
