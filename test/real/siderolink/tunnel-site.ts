import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Writable } from 'node:stream';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { KubeConfig } from '@kubernetes/client-node';
import { createLogger, createResourceClient, createMetrics, type ResourceClient } from '@sidero/core';
import { ProvisionRequestSchema, type ProvisionResponse, ProvisionService, serviceDefinition } from '@sidero/plugin-siderolink/protocol';
import {
  type Child,
  type ChildOptions,
  createNamespace,
  forward,
  type ManagementPlane,
  type Namespace,
  startManagementPlane,
} from '@sidero/testing/qemu';
import { freePorts } from '@sidero/testing';
import { expect } from 'vitest';

/** Of the management plane on the link between both namespaces. */
export const SERVER = '10.99.0.1';
const NODE = '10.99.0.2';

/** A management plane in one network namespace, a machine in another, a wire between them. */
export interface TunnelSite extends AsyncDisposable {
  /** Name of the tunnel's interface on the server. */
  readonly device: string;
  readonly server: Namespace;
  readonly node: Namespace;
  readonly resources: ResourceClient;
  /** What `/metrics` has. */
  metrics(): Promise<string>;
  provision(request: MessageInitShape<typeof ProvisionRequestSchema>): Promise<ProvisionResponse>;
  start(): Promise<void>;
  /** kill -9 */
  kill(): Promise<void>;
  stop(): Promise<void>;
  /** How the management plane ended. */
  ended(): Promise<string>;
  /** What the management plane said so far. */
  log(): string;
  /** Does something that makes the tunnel anew, and settles once it came up again. */
  untilUpAgain(act: () => Promise<unknown>): Promise<void>;
}

export interface TunnelSiteOptions {
  /** Option of the plugin. */
  readonly tunnel: 'user-space' | 'kernel' | 'auto';
  /** Name of the interface. Default: one of its own. */
  readonly interface?: string;
  /** What the command line of the management plane begins with. */
  readonly wrapper?: readonly [string, ...string[]];
  /** Gets what the management plane says. */
  readonly said?: string[];
  /** Default: the PATH of this process. */
  readonly path?: string;
}

/** Starts it, without any machine. */
export async function tunnelSite(options: TunnelSiteOptions): Promise<TunnelSite> {
  const stack = new AsyncDisposableStack();
  try {
    return await startOn(stack, options);
  } catch (thrown) {
    await stack.disposeAsync();
    throw thrown;
  }
}

async function startOn(
  stack: AsyncDisposableStack,
  { tunnel, wrapper, path, interface: device = `sl${process.pid}`, said: log = [] }: TunnelSiteOptions,
): Promise<TunnelSite> {
  const dir = await mkdtemp(join(tmpdir(), 'siderolink-'));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const server = stack.use(await createNamespace());
  const node = stack.use(await createNamespace(server));
  await wire(server, node);
  const [api, http, diagnostics] = (await freePorts(3)) as [number, number, number];
  for (const port of [api, http, diagnostics]) stack.use(await forward(server, { port, dir, clients: 'outside' }));
  const config = join(dir, 'sidero.config.json');
  await writeFile(config, configOf({ api, http, diagnostics, device, tunnel }));
  let plane: ManagementPlane | undefined;
  const start = async (): Promise<void> => {
    const variables = { SIDERO_FETCH_ENVIRONMENTS: 'false', SIDERO_LOG_LEVEL: 'debug', ...(path && { PATH: path }) };
    const place = {
      start: (command: readonly [string, ...string[]], options: ChildOptions) => server.start(wrapper ? [...wrapper, ...command] : command, options),
    };
    plane = await startManagementPlane(place, { config, dataDir: join(dir, 'data'), env: variables, onText: (text) => void log.push(text) });
  };
  const kill = async (): Promise<void> => {
    if (plane) await ended(plane, 'SIGKILL');
  };
  const stop = async (): Promise<void> => plane?.stop();
  stack.defer(stop);
  await start();
  const resources = stack.use(clientOf(join(dir, 'data', 'kubeconfig')));
  return {
    device,
    server,
    node,
    resources: resources.client,
    metrics: async () => (await fetch(`http://127.0.0.1:${diagnostics}/metrics`)).text(),
    provision: (request) => provision(http, request),
    start,
    kill,
    stop,
    ended: () => plane!.exited,
    log: () => log.join(''),
    untilUpAgain: async (act) => {
      const ups = () => log.join('').split('SideroLink is up').length;
      const before = ups();
      await act();
      await expect.poll(ups).toBeGreaterThan(before);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function wire(server: Namespace, node: Namespace): Promise<void> {
  await server.run(['ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', String(node.pid)]);
  for (const [space, address] of [
    [server, SERVER],
    [node, NODE],
  ] as const) {
    await space.run(['ip', 'address', 'add', `${address}/24`, 'dev', 'wire']);
    for (const link of ['lo', 'wire']) await space.run(['ip', 'link', 'set', link, 'up']);
  }
}

function configOf(given: { api: number; http: number; diagnostics: number; device: string; tunnel: string }): string {
  const { api, http, diagnostics, device, tunnel } = given;
  const plugin = (name: string, options: object) => ({ from: fileURLToPath(import.meta.resolve(`@sidero/plugin-${name}`)), options });
  const site = { endpoint: SERVER, apiPort: http, healthAddress: 'off', diagnosticsAddress: `127.0.0.1:${diagnostics}`, insecureDiagnostics: true };
  return JSON.stringify({ ...site, plugins: [plugin('apiserver', { port: api }), plugin('siderolink', { tunnel, interface: device })] });
}

async function ended(plane: Child, signal: NodeJS.Signals): Promise<void> {
  process.kill(plane.pid, signal);
  await plane.exited;
}

function clientOf(file: string): { client: ResourceClient } & AsyncDisposable {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(file);
  const log = createLogger({ level: 'silent', destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });
  const client = createResourceClient({ kubeConfig: async () => kubeConfig, log, metrics: createMetrics(), component: 'test' });
  return { client, [Symbol.asyncDispose]: () => client.close() };
}

async function provision(port: number, request: MessageInitShape<typeof ProvisionRequestSchema>): Promise<ProvisionResponse> {
  const { path, requestSerialize, responseDeserialize } = serviceDefinition(ProvisionService)['provision']!;
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, create(ProvisionRequestSchema, request), (error, answer) =>
        error ? reject(error) : resolve(answer as ProvisionResponse),
      );
    });
  } finally {
    client.close();
  }
}
