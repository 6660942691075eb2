import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  coreCustomResources,
  createMetrics,
  createResourceClient,
  type CustomResource,
  definePlugin,
  type KubeObject,
  type Plugin,
  type RunningResourceClient,
} from '@sidero/core';
import type { RunningSidero } from '@sidero/core/start';
import { agent } from '@sidero/plugin-agent';
import { type ApiServer, startApiServer } from '@sidero/plugin-apiserver';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { capsCustomResources } from '@sidero/plugin-caps';
import {
  anEnvironment,
  createWithStatus,
  fleet,
  type Plane,
  type PlaneOptions,
  silentLogger,
  type SimulatedMachine,
  startPlane,
  writeStandIns,
} from '@sidero/testing';
import * as z from 'zod';
import { clusterApiDefinitions } from './cluster-api.ts';
import { HeldWatches } from './held-watches.ts';

/** What is in a rack at first. */
export interface StaleRackOptions {
  readonly objects: readonly KubeObject[];
  /** Besides the agent's and iPXE. */
  readonly plugins?: readonly Plugin[];
  readonly site?: PlaneOptions['site'];
}

/** A management plane whose caches are as old as a test wants them, and the API as it really is. */
export class StaleRack implements AsyncDisposable {
  /** The management plane. */
  readonly sidero: RunningSidero;
  /** The API on a wire of its own, which is never late. */
  readonly truth: RunningResourceClient;
  /** What the management plane hears of changes. */
  readonly watches: HeldWatches;
  readonly #plane: Plane;
  readonly #stack: AsyncDisposableStack;

  static async start({ objects, plugins = [], site }: StaleRackOptions): Promise<StaleRack> {
    await using stack = new AsyncDisposableStack();
    const dataDir = await mkdtemp(join(tmpdir(), 'sidero-stale-'));
    stack.defer(() => rm(dataDir, { recursive: true, force: true }));
    await writeStandIns(dataDir);
    await writeEnvironment(dataDir);
    const api = await startApiServer({ customResources: kinds() });
    stack.defer(() => api.close());
    const truth = clientOf(api);
    stack.defer(() => truth.close());
    const environment = anEnvironment({ spec: { kernel: { url: undefined, args: [] }, initrd: undefined } });
    for (const object of [environment, ...objects]) await createWithStatus(truth, object);
    const watches = stack.use(await HeldWatches.start(api));
    const { sidero, plane } = await startPlane({
      dataDir,
      log: silentLogger(),
      site,
      plugins: ({ tftp }) => [apiBehind(watches), agent({ autoAccept: false }), bootIpxe({ tftpPort: tftp, tftpAddress: '127.0.0.1' }), ...plugins],
    });
    stack.defer(() => sidero.close());
    return new StaleRack({ sidero, truth, watches, plane, stack: stack.move() });
  }

  private constructor(given: {
    sidero: RunningSidero;
    truth: RunningResourceClient;
    watches: HeldWatches;
    plane: Plane;
    stack: AsyncDisposableStack;
  }) {
    this.sidero = given.sidero;
    this.truth = given.truth;
    this.watches = given.watches;
    this.#plane = given.plane;
    this.#stack = given.stack;
  }

  /** A machine that is plugged in, off. */
  machine(seed: string): SimulatedMachine {
    const [machine] = fleet(1, { seed, plane: this.#plane, timeFactor: 0.001, hasIpxeRom: true });
    this.#stack.defer(() => machine!.cutPower('the test is over'));
    return machine!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.watches.release();
    await this.#stack.disposeAsync();
  }
}

/** The files of the Environment `default`, that nobody boots. */
async function writeEnvironment(dataDir: string): Promise<void> {
  const folder = join(dataDir, 'env', 'default');
  await mkdir(folder, { recursive: true });
  await Promise.all(['vmlinuz', 'initramfs.xz'].map((name) => writeFile(join(folder, name), 'not Talos\n')));
}

function kinds(): readonly CustomResource[] {
  return [
    ...coreCustomResources(),
    ...capsCustomResources(),
    ...clusterApiDefinitions().map((definition) => ({ name: definition.metadata.name, definition })),
  ];
}

function clientOf({ kubeConfig }: ApiServer): RunningResourceClient {
  return createResourceClient({ kubeConfig: () => kubeConfig, log: silentLogger(), metrics: createMetrics(), component: 'truth' });
}

function apiBehind({ kubeConfig }: HeldWatches): Plugin {
  const plugin = definePlugin({
    name: 'api-behind-held-watches',
    options: z.strictObject({}),
    setup: ({ cluster }) => cluster.provide(async () => kubeConfig),
  });
  return plugin();
}
