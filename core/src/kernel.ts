import type { BundlePart } from './bundle/bundle-part.ts';
import { failure } from './errors.ts';
import { blameSetup } from './errors/blame-setup.ts';
import { knownHooks } from './errors/known-hooks.ts';
import { checkPluginNames } from './errors/plugin-names.ts';
import { createHooks, type LifecycleHooks } from './hooks.ts';
import { createLifecycle, type Lifecycle } from './lifecycle/index.ts';
import { createAgentCopy, localCopy } from './lifecycle/local-copy.ts';
import { refusedInTaps } from './lifecycle/refused-in-taps.ts';
import { createMachineTokens } from './lifecycle/machine-token.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Plugin } from './plugin.ts';
import { createEvidence } from './power/evidence.ts';
import { createPower, type RunningPower } from './power/index.ts';
import type { Controller } from './reconcile/controller.ts';
import type { BootFile, Command, DiskBoot, Explainer, PowerDriver, Service } from './registries.ts';
import { RegistryTable } from './registry.ts';
import type { ResourceClient } from './resources/client.ts';
import type { CustomResource } from './resources/custom-resource.ts';
import type { KubeObject } from './resources/kinds.ts';
import type { GrpcService } from './serve/grpc.ts';
import { refuseTwinRoutes } from './serve/refuse-twin-routes.ts';
import type { Variables } from './settings.ts';
import type { ConnectCluster, Route, Sidero, Site } from './sidero.ts';
import { guardTaps, type TapRecord } from './taps.ts';

/** What the kernel is built around. */
export interface KernelOptions {
  readonly plugins: readonly Plugin[];
  readonly site: Site;
  readonly resources: ResourceClient;
  readonly variables: Variables;
  readonly hookTimeoutMs: number;
  /** See TapPolicy. */
  readonly strict: boolean;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly now?: () => Date;
}

/** Everything plugins registered, in config order; nothing runs yet. */
export interface Kernel {
  readonly plugins: readonly Plugin[];
  readonly hooks: LifecycleHooks;
  readonly lifecycle: Lifecycle;
  readonly power: RunningPower;
  readonly site: Site;
  readonly taps: readonly TapRecord[];
  readonly routes: readonly { readonly plugin: string; readonly route: Route }[];
  /** Of the management listener. */
  readonly managementRoutes: readonly { readonly plugin: string; readonly route: Route }[];
  readonly grpcServices: readonly GrpcService[];
  readonly controllers: readonly { readonly plugin: string; readonly controller: Controller<KubeObject> }[];
  readonly tables: ReturnType<typeof createTables>;
  /** The plugins that bring an API server; the first is used. */
  readonly clusters: readonly { readonly plugin: string; readonly connect: ConnectCluster }[];
}

type Lists = 'routes' | 'managementRoutes' | 'grpcServices' | 'controllers' | 'clusters';
type Found = { isComplete: boolean } & { readonly [K in Lists]: Kernel[K][number][] };

const createTables = () => ({
  files: new RegistryTable<BootFile>('files'),
  powerDrivers: new RegistryTable<PowerDriver>('powerDrivers'),
  diskBoots: new RegistryTable<DiskBoot>('diskBoots'),
  services: new RegistryTable<Service>('services'),
  commands: new RegistryTable<Command>('commands'),
  explainers: new RegistryTable<Explainer>('explainers'),
  customResources: new RegistryTable<CustomResource>('customResources'),
  bundle: new RegistryTable<BundlePart>('bundle'),
});

/**
 * Sets every plugin up, in order.
 * @throws SIDERO_OPTION_INVALID, SIDERO_PLUGIN_NAME_INVALID, SIDERO_PLUGIN_SETUP_FAILED, SIDERO_REGISTRY_CONFLICT, SIDERO_SETTING_INVALID
 */
export function createKernel(options: KernelOptions): Kernel {
  const { site, resources, variables, log, metrics } = options;
  const hooks = createHooks();
  const guard = guardTaps(hooks, { timeoutMs: options.hookTimeoutMs, strict: options.strict, log, metrics });
  const tables = createTables();
  const evidence = createEvidence();
  const stages = createLifecycle({
    hooks,
    witness: evidence.note,
    resources,
    site,
    log,
    metrics,
    agentCopy: createAgentCopy(site.dataDir),
    localCopy: (environment) => localCopy(site.dataDir, environment),
    now: options.now ?? (() => new Date()),
  });
  const lifecycle = options.strict ? refusedInTaps(stages, guard.running) : stages;
  const drivers = tables.powerDrivers.for('core').list;
  const power = createPower({ drivers, resources, pxeMode: site.pxeMode, evidence, log: log.child({ room: 'power' }), metrics });
  const tokens = createMachineTokens(resources);
  const found: Found = { isComplete: false, routes: [], managementRoutes: [], grpcServices: [], controllers: [], clusters: [] };

  checkPluginNames(options.plugins);
  const offered = { hooks: knownHooks(hooks), lifecycle, resources, power, tokens, site, variables, metrics };
  for (const plugin of options.plugins) {
    const sidero = { ...offered, log: log.child({ plugin: plugin.name }), ...registriesFor(plugin.name, tables, found) };
    guard.owned(plugin.name, () => blameSetup(plugin.name, () => plugin.setup(sidero)));
  }
  for (const table of [found, ...Object.values(tables)]) table.isComplete = true;
  refuseTwinRoutes(found.routes, 'http');
  refuseTwinRoutes(found.managementRoutes, 'management');
  return { plugins: options.plugins, hooks, lifecycle, power, site, taps: guard.taps, tables, ...found };
}

// What a plugin adds to, each entry signed with its name.
function registriesFor(
  plugin: string,
  tables: Kernel['tables'],
  found: Found,
): Omit<Sidero, 'hooks' | 'lifecycle' | 'resources' | 'power' | 'tokens' | 'site' | 'variables' | 'metrics' | 'log'> {
  const add = (what: string, push: () => unknown): void => {
    if (found.isComplete) throw failure('SIDERO_REGISTERED_LATE', { plugin, what });
    push();
  };
  return {
    controllers: {
      add: (controller) => add('controllers', () => found.controllers.push({ plugin, controller: controller as unknown as Controller<KubeObject> })),
    },
    http: { route: (method, path, handler) => add('http', () => found.routes.push({ plugin, route: { method, path, handler } })) },
    management: {
      route: (path, handler) => add('management', () => found.managementRoutes.push({ plugin, route: { method: 'GET', path, handler } })),
    },
    grpc: { add: (definition, handlers) => add('grpc', () => found.grpcServices.push({ plugin, definition, handlers })) },
    cluster: { provide: (connect) => add('cluster', () => found.clusters.push({ plugin, connect })) },
    files: tables.files.for(plugin),
    powerDrivers: tables.powerDrivers.for(plugin),
    diskBoots: tables.diskBoots.for(plugin),
    services: tables.services.for(plugin),
    commands: tables.commands.for(plugin),
    explainers: tables.explainers.for(plugin),
    customResources: tables.customResources.for(plugin),
    bundle: tables.bundle.for(plugin),
  };
}
