import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, createMetrics, createResourceClient, type Environment, EnvironmentKind, type RunningResourceClient } from '@sidero/core';
import { freePorts, writeStandIns } from '@sidero/testing';
import { type ManagementPlane, startManagementPlane, thisHost } from '@sidero/testing/qemu';
import { type RealKubeApi, startKubeApiServer } from '../kube-apiserver.ts';
import { type ClusterApi, placeClusterApi } from './cluster-api.ts';
import { type Clusterctl, initManagementCluster } from './clusterctl.ts';
import { type InstalledSidero, playTheCluster } from './installed-sidero.ts';
import { writeRepository } from './provider-repository.ts';

const PLUGINS = join(import.meta.dirname, '../../../plugins');
/** What is not given to processes of their own: they must end within a test. */
const SITE = { rebootTimeoutMs: 10_000, powerPollMs: 1000, leaderElection: false, healthAddress: 'off', diagnosticsAddress: 'off' };
/** A binding that were freed by mistake shall be so while the test looks. */
const ORPHAN_GRACE_MS = 2000;
const OURS = /^(SIDERO_CONTROLLER_MANAGER_|SIDERO_HEALTH|CAPI_DIAG|SIDERO_LEADER|SIDERO_POWER)/;
/** What Sidero logs right after a write or an order: where a kill may lie. */
export type Point =
  | 'power command'
  | 'power switched'
  | 'boot decided'
  | 'configuration given out'
  | 'server released'
  | 'wipe handed to the machine'
  | 'HTTP';

/** Where machines find a management cluster, and what they boot. */
export interface KillManagementOptions {
  /** Port on 127.0.0.1 that machines are told, whoever is behind it. */
  readonly front: number;
  /** Its Environment; the files are stand-ins. */
  readonly environment: string;
}

/**
 * A management cluster of real parts, with Sidero in a process of its own that can be killed: an API server on which `clusterctl init` was, Cluster API,
 * Talos' providers.
 */
export class KillManagement implements AsyncDisposable {
  readonly api: RealKubeApi;
  readonly kubeconfigPath: string;
  readonly clusterctl: Clusterctl;
  readonly clusterApi: ClusterApi;
  /** May do everything, and is nobody's whom we kill. */
  readonly resources: RunningResourceClient;
  readonly httpPort: number;
  readonly #folder: string;
  readonly #installed: InstalledSidero;
  readonly #stack: AsyncDisposableStack;
  readonly #said: string[] = [];
  #life: ManagementPlane | undefined;
  readonly #listeners = new Set<(text: string) => void>();

  /** Starts everything but Sidero; about 20 s. */
  static async start(options: KillManagementOptions): Promise<KillManagement> {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'sidero-kill-move-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const [api, placed] = await Promise.all([startKubeApiServer(), placeClusterApi('1.10')]);
    stack.defer(() => api.close());
    stack.defer(() => placed.close());
    const config = await writeRepository(join(folder, 'repository'), { offers: placed.offers });
    const clusterctl = { release: '1.10', config } as const;
    await initManagementCluster({ kubeconfigPath: api.kubeconfigPath, clusterctl });
    const [installed, clusterApi] = await Promise.all([playTheCluster(api, folder), placed.start(api)]);
    const [httpPort = 0, tftpPort = 0] = await freePorts(2);
    await prepare({ folder, options, httpPort, tftpPort });
    const log = createLogger({ level: 'silent' });
    const resources = createResourceClient({ kubeConfig: () => api.kubeConfig, log, metrics: createMetrics(), component: 'test' });
    stack.defer(() => resources.close());
    await resources.create<Environment>(EnvironmentKind, {
      apiVersion: 'metal.sidero.dev/v1alpha2',
      kind: 'Environment',
      metadata: { name: options.environment },
      spec: { kernel: { args: ['talos.platform=metal'] } },
    });
    return new KillManagement({ api, clusterctl, clusterApi, resources, httpPort, folder, installed, stack: stack.move() });
  }

  private constructor(given: {
    api: RealKubeApi;
    clusterctl: Clusterctl;
    clusterApi: ClusterApi;
    resources: RunningResourceClient;
    httpPort: number;
    folder: string;
    installed: InstalledSidero;
    stack: AsyncDisposableStack;
  }) {
    this.api = given.api;
    this.kubeconfigPath = given.api.kubeconfigPath;
    this.clusterctl = given.clusterctl;
    this.clusterApi = given.clusterApi;
    this.resources = given.resources;
    this.httpPort = given.httpPort;
    this.#folder = given.folder;
    this.#installed = given.installed;
    this.#stack = given.stack;
  }

  get isAlive(): boolean {
    return this.#life !== undefined;
  }

  /** The end of what Sidero said, in all its lives. */
  get said(): string {
    const isNoise = (line: string) => /"msg":"(power command|HTTP)"/.test(line);
    return this.#said
      .filter((line) => !isNoise(line))
      .slice(-40)
      .join('\n');
  }

  /** Starts Sidero, as its Deployment would. */
  async startSidero(): Promise<void> {
    const { variables, kubeconfigPath } = this.#installed;
    const others = Object.fromEntries(Object.entries(variables).filter(([name]) => !OURS.test(name)));
    this.#life = await startManagementPlane(thisHost, {
      config: join(this.#folder, 'sidero.config.json'),
      dataDir: join(this.#folder, 'data'),
      args: ['--kubeconfig', kubeconfigPath],
      env: { ...others, SIDERO_FETCH_ENVIRONMENTS: 'false', SIDERO_LOG_LEVEL: 'debug' },
      onText: (text) => {
        this.#said.push(...text.split('\n').filter((line) => line !== ''));
        this.#said.splice(0, this.#said.length - 20_000);
        for (const listener of this.#listeners) listener(text);
      },
    });
  }

  /** `kill -9`. Resolves when it is gone. */
  async kill(): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    if (!life) return;
    process.kill(life.pid, 'SIGKILL');
    this.#said.push(`${new Date().toISOString()} KILLED`);
    await life.exited;
  }

  /** Kills Sidero the moment it says that, or after so long. Gives whether it had said so. */
  async killAt(point: Point, patienceMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const listener = (text: string) => {
      if (text.includes(`"msg":"${point}"`)) resolve(true);
    };
    this.#listeners.add(listener);
    const late = setTimeout(() => resolve(false), patienceMs);
    const isThere = await promise;
    clearTimeout(late);
    this.#listeners.delete(listener);
    await this.kill();
    return isThere;
  }

  /** kubectl that must succeed; its output. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.api.kubectl(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** Objects of a resource in namespace "default", as JSON. */
  async list<T>(resource: string): Promise<readonly T[]> {
    return (JSON.parse(await this.kubectl(['get', resource, '-n', 'default', '-o', 'json'])) as { items: T[] }).items;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#stack.disposeAsync();
  }
}

async function prepare(given: { folder: string; options: KillManagementOptions; httpPort: number; tftpPort: number }): Promise<void> {
  const { folder, options, httpPort, tftpPort } = given;
  const dataDir = join(folder, 'data');
  await writeStandIns(dataDir);
  const files = join(dataDir, 'env', options.environment);
  await mkdir(files, { recursive: true });
  await Promise.all(['vmlinuz', 'initramfs.xz'].map((name) => writeFile(join(files, name), 'Talos is played\n')));
  const plugin = (name: string, chosen: object = {}) => ({ from: join(PLUGINS, name, 'src/index.ts'), options: chosen });
  const plugins = [
    plugin('agent', { autoAccept: true }),
    plugin('boot-ipxe', { tftpPort, tftpAddress: '127.0.0.1' }),
    plugin('management-api'),
    plugin('caps', { orphanGraceMs: ORPHAN_GRACE_MS }),
  ];
  const config = { ...SITE, endpoint: '127.0.0.1', apiPort: options.front, httpPort, plugins };
  await writeFile(join(folder, 'sidero.config.json'), JSON.stringify(config));
}
