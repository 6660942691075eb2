import { isIPv6 } from 'node:net';
import { resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { builtinPlugins } from './builtin/index.ts';
import { type Cluster, connectCluster } from './cluster.ts';
import type { LoadedConfig, SiteOptions } from './config.ts';
import { failure } from './errors.ts';
import { createKernel, type Kernel } from './kernel.ts';
import type { Logger } from './log.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { leaderIdentity, LEASE_NAME, leaseIsLive, runAsLeader } from './reconcile/leader.ts';
import { runControllers } from './reconcile/run-controllers.ts';
import type { ResourceClient } from './resources/client.ts';
import { EnvironmentKind, type KubeObject, ServerBindingKind, ServerClassKind, ServerKind } from './resources/kinds.ts';
import { createResourceClient, type RunningResourceClient } from './resources/kube-client.ts';
import { serveDiagnostics } from './serve/diagnostics.ts';
import { createGrpc } from './serve/grpc.ts';
import { serveHealth } from './serve/health.ts';
import { createHttp } from './serve/http.ts';
import { type OpenPort, openPort } from './serve/port.ts';
import { type RunningServices, runServices } from './serve/run-services.ts';
import type { Variables } from './settings.ts';
import type { Site } from './sidero.ts';

/** Those of the original's two managers; either of them would work against us. */
const ORIGINAL_LEASES = [LEASE_NAME, 'controller-leader-election-capm'];

export interface StartOptions {
  readonly config: LoadedConfig;
  readonly log: Logger;
  /** Default: the process environment. */
  readonly variables?: Variables;
  /** File of the cluster to work with; see `connectCluster`. */
  readonly kubeconfig?: string | undefined;
  /** Interface address the API port is bound to. Default: all. */
  readonly host?: string;
  /** See TapPolicy. Default: true when NODE_ENV is `development` or `test`. */
  readonly strict?: boolean;
  /** Clock of boot tokens and records. */
  readonly now?: () => Date;
}

/** A system that serves. */
export interface RunningSidero {
  readonly kernel: Kernel;
  readonly resources: ResourceClient;
  readonly kubeConfig: KubeConfig;
  readonly port: number;
  readonly healthPort: number | undefined;
  readonly diagnosticsPort: number | undefined;
  /** Rejects when something that must run has failed; resolves after `close`. */
  readonly done: Promise<void>;
  /** Stops everything, within 2 s. */
  close(): Promise<void>;
}

/** A kernel with its plugins set up, and the parts it was built around; nothing runs. */
export interface Assembled {
  readonly kernel: Kernel;
  readonly resources: RunningResourceClient;
  readonly metrics: Metrics;
  /** To be settled with the cluster, once there is one. */
  readonly cluster: PromiseWithResolvers<KubeConfig>;
}

/** Sets up the built-in plugins and those of the config. @throws SIDERO_ENDPOINT_MISSING and what plugins throw */
export function assemble(options: StartOptions): Assembled {
  const { config, log } = options;
  const variables = options.variables ?? process.env;
  const metrics = createMetrics({ processMetrics: true });
  const cluster = Promise.withResolvers<KubeConfig>();
  cluster.promise.catch(() => undefined);
  const resources = createResourceClient({
    kubeConfig: () => cluster.promise,
    log: log.child({ room: 'resources' }),
    metrics,
    component: 'sidero-controller-manager',
  });
  const kernel = createKernel({
    plugins: [...builtinPlugins(), ...config.plugins],
    site: siteOf(config.options, variables),
    hookTimeoutMs: config.options.hookTimeoutMs,
    strict: options.strict ?? ['development', 'test'].includes(process.env['NODE_ENV'] ?? ''),
    resources,
    variables,
    log,
    metrics,
    ...(options.now ? { now: options.now } : {}),
  });
  return { kernel, resources, metrics, cluster };
}

function siteOf(options: SiteOptions, variables: Variables): Site {
  const endpoint = (options.endpoint ?? variables['API_ENDPOINT'] ?? '').replace(/^\[|\]$/g, '');
  if (!endpoint) throw failure('SIDERO_ENDPOINT_MISSING', {});
  const { apiPort, bootAuth, bootFromDiskMethod, extraAgentArgs, namespace, powerPollMs, pxeMode, rebootTimeoutMs } = options;
  const authority = `${isIPv6(endpoint) ? `[${endpoint}]` : endpoint}:${apiPort}`;
  const timing = { powerPollMs, rebootTimeoutMs };
  return {
    endpoint,
    apiPort,
    authority,
    bootAuth,
    bootFromDiskMethod,
    extraAgentArgs,
    pxeMode,
    ...timing,
    namespace,
    dataDir: resolve(options.dataDir),
  };
}

/**
 * Starts the management plane and returns once it serves.
 * @throws SIDERO_CLUSTER_MISSING, SIDERO_ORIGINAL_LIVE, SIDERO_LISTEN_FAILED and what plugins throw
 */
export async function startSidero(options: StartOptions): Promise<RunningSidero> {
  const { config, log } = options;
  const variables = options.variables ?? process.env;
  const { kernel, resources, metrics, cluster } = assemble(options);
  const stop = new AbortController();
  const { signal } = stop;
  let parts: Serving | undefined;
  const close = async (done: Promise<unknown>): Promise<void> => {
    stop.abort();
    await Promise.allSettled([parts?.port.close(), within(1800, Promise.allSettled([done, kernel.power.close()]))]);
    await resources.close();
  };
  try {
    const api = await connectCluster(kernel, { kubeconfig: options.kubeconfig, variables, signal });
    cluster.resolve(api.kubeConfig);
    await refuseBesideOriginal(api, resources, config.options.namespace);
    keepCaches(resources, signal);
    resources.start(signal);
    parts = await serve({ options, kernel, resources, metrics, signal });
    const leading = lead({ kernel, resources, metrics, log, signal, options: config.options, isOnly: api.isOwn || !config.options.leaderElection });
    const done = Promise.all([parts.services.done, leading]).then(() => undefined);
    done.catch(() => stop.abort());
    const patience = setTimeout(() => log.warn({ kinds: resources.unsynced() }, 'waiting for the API to list kinds; are the CRDs installed?'), 3000);
    await Promise.all([parts.services.ready, resources.synced(signal)]).finally(() => clearTimeout(patience));
    log.info({ port: parts.port.port, endpoint: kernel.site.authority, plugins: config.plugins.map(({ name }) => name) }, 'sidero serves');
    return {
      kernel,
      resources,
      kubeConfig: api.kubeConfig,
      port: parts.port.port,
      healthPort: parts.healthPort,
      diagnosticsPort: parts.diagnosticsPort,
      done,
      close: () => close(done),
    };
  } catch (thrown) {
    await close(Promise.resolve());
    throw thrown;
  }
}

// The original and we must never both own the servers of one cluster.
async function refuseBesideOriginal(api: Cluster, resources: RunningResourceClient, namespace: string): Promise<void> {
  if (api.isOwn) return;
  const look = async (name: string) => {
    const live = await leaseIsLive({ client: resources, lease: { namespace, name } });
    if (live) throw failure('SIDERO_ORIGINAL_LIVE', { lease: `${namespace}/${name}`, holder: live.holder });
  };
  await Promise.all(ORIGINAL_LEASES.map(look));
}

// What every replica answers machines from, whether or not it leads.
function keepCaches(resources: ResourceClient, signal: AbortSignal): void {
  for (const kind of [ServerKind, ServerClassKind, EnvironmentKind, ServerBindingKind])
    void resources.watch<KubeObject>(kind, () => undefined, signal);
}

interface Serving {
  readonly port: OpenPort;
  readonly services: RunningServices;
  readonly healthPort: number | undefined;
  readonly diagnosticsPort: number | undefined;
}

async function serve(given: {
  options: StartOptions;
  kernel: Kernel;
  resources: RunningResourceClient;
  metrics: Metrics;
  signal: AbortSignal;
}): Promise<Serving> {
  const { options, kernel, resources, metrics, signal } = given;
  const { config, log } = options;
  const { healthAddress, diagnosticsAddress, insecureDiagnostics, apiPort, httpPort = apiPort } = config.options;
  const services = runServices(
    kernel.tables.services
      .for('core')
      .list()
      .filter(({ where }) => where === 'every'),
    { log, signal },
  );
  const management = createHttp({ routes: kernel.managementRoutes, log: log.child({ room: 'management' }), metrics });
  const serving = { name: 'ping', check: () => undefined };
  const caches = { name: 'resources', check: () => (resources.unsynced().length ? `waits for ${resources.unsynced().join(', ')}` : undefined) };
  const healthPort =
    healthAddress === 'off' ? undefined : await serveHealth({ address: healthAddress, live: [serving], ready: [...services.checks, caches], signal });
  const diagnosticsPort =
    diagnosticsAddress === 'off'
      ? undefined
      : await serveDiagnostics({ address: diagnosticsAddress, isOpen: insecureDiagnostics, metrics, routes: management, resources, signal });
  // Last: the listeners before it end with the signal, should this one fail.
  const port = await openPort(
    { port: httpPort, ...(options.host === undefined ? {} : { host: options.host }) },
    { http: createHttp({ routes: kernel.routes, log: log.child({ room: 'http' }), metrics }), grpc: createGrpc(kernel.grpcServices), metrics },
  );
  return { port, services, healthPort, diagnosticsPort };
}

interface Leading {
  readonly kernel: Kernel;
  readonly resources: RunningResourceClient;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly options: SiteOptions;
  /** No other replica can be there: no election. */
  readonly isOnly: boolean;
}

async function lead({ kernel, resources, metrics, log, signal, options, isOnly }: Leading): Promise<void> {
  const work = async (leading: AbortSignal): Promise<void> => {
    const services = runServices(
      kernel.tables.services
        .for('core')
        .list()
        .filter(({ where }) => where === 'leader'),
      { log, signal: leading },
    );
    const controllers = kernel.controllers.map(({ controller }) => controller);
    await Promise.all([
      services.done,
      runControllers({ controllers, client: resources, log: log.child({ room: 'controllers' }), metrics, signal: leading }),
    ]);
  };
  if (isOnly) return work(signal);
  const lease = { namespace: options.namespace, name: LEASE_NAME };
  // What a replica knows may be minutes old when its watches hang unnoticed. That is good enough to wait with, and not to lead.
  const elected = async (leading: AbortSignal): Promise<void> => {
    await resources.refresh(leading).catch(() => undefined);
    if (!leading.aborted) await work(leading);
  };
  return runAsLeader({ client: resources, lease, identity: leaderIdentity(), log, signal, lead: elected });
}

function within(milliseconds: number, work: Promise<unknown>): Promise<unknown> {
  return Promise.race([work, new Promise((settle) => setTimeout(settle, milliseconds).unref())]);
}
