import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Middleware } from 'koa';
import type { BundlePart } from './bundle/bundle-part.ts';
import type { LifecycleHooks } from './hooks.ts';
import type { Lifecycle } from './lifecycle/index.ts';
import type { MachineTokens } from './lifecycle/machine-token.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Controller } from './reconcile/controller.ts';
import type { Power } from './power/index.ts';
import type { BootFile, Command, DiskBoot, Explainer, NetworkBootMode, PowerDriver, Service } from './registries.ts';
import type { Registry } from './registry.ts';
import type { ResourceClient } from './resources/client.ts';
import type { CustomResource } from './resources/custom-resource.ts';
import type { KubeObject } from './resources/kinds.ts';
import type { Variables } from './settings.ts';

/** What the whole installation is told once; plugins read it, never change it. */
export interface Site {
  /** Host or IP at which servers reach us, without brackets. */
  readonly endpoint: string;
  /** Port that servers are told; the one bound may differ behind a Service. Default 8081. */
  readonly apiPort: number;
  /** `host:port` of the two above, with brackets around an IPv6 address. */
  readonly authority: string;
  /** Where everything is kept that must outlive the process and has no place in the API. */
  readonly dataDir: string;
  /** Whether machines must show the token they were booted with: `require` (default), `report`, `off`. */
  readonly bootAuth: 'require' | 'report' | 'off';
  /** How servers whose `spec.pxeMode` says nothing boot from the network. Default `uefi`. */
  readonly pxeMode: NetworkBootMode;
  /** How long a machine that boots or wipes may be silent before its power is cycled again. Default 20 min. */
  readonly rebootTimeoutMs: number;
  /** How often the power of a server at rest is looked at. Default 5 min. */
  readonly powerPollMs: number;
  /** Where what belongs to the installation lies. Default `sidero-system`. */
  readonly namespace: string;
  /** Name in `diskBoots` for servers whose Server and ServerClass say nothing. Default `ipxe-exit`. */
  readonly bootFromDiskMethod: string;
  /** Kernel arguments laid over the agent's, separated by white space. Default none. */
  readonly extraAgentArgs: string;
}

/** What a plugin that provides an API server gets to work with. */
export interface ClusterContext {
  readonly dataDir: string;
  /** Everything plugins added to `customResources`. */
  readonly customResources: readonly CustomResource[];
  readonly signal: AbortSignal;
}

/** Starts or reaches an API server and says how to talk to it; ends with `context.signal`. */
export type ConnectCluster = (context: ClusterContext) => Promise<KubeConfig>;

/** An HTTP route on the one port. GET routes also answer HEAD. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** As @koa/router takes it: `/env/:name/:file`. */
  readonly path: string;
  readonly handler: Middleware;
}

/** The object every plugin is set up with. */
export interface Sidero {
  /** Decide or complete: tap these. */
  readonly hooks: LifecycleHooks;
  /** Transports call these; each runs its stage and its hook. */
  readonly lifecycle: Lifecycle;
  readonly resources: ResourceClient;
  readonly controllers: { add<T extends KubeObject>(controller: Controller<T>): void };
  readonly http: { route(method: Route['method'], path: string, handler: Middleware): void };
  readonly grpc: { add(service: ServiceDefinition, handlers: UntypedServiceImplementation): void };
  /** GET routes for people, beside `/metrics`: for whom the Kubernetes API lets `get` the path (a non-resource URL). */
  readonly management: { route(path: string, handler: Middleware): void };
  /** Served over TFTP and HTTP. */
  readonly files: Registry<BootFile>;
  readonly powerDrivers: Registry<PowerDriver>;
  /** What the drivers can do for a server, in one place: queue, session reuse, breaker, proof. */
  readonly power: Power;
  /** Proofs of bound machines, for whoever serves them secrets. */
  readonly tokens: MachineTokens;
  readonly diskBoots: Registry<DiskBoot>;
  /** Anything that runs. */
  readonly services: Registry<Service>;
  /** Subcommands of `sidero`. */
  readonly commands: Registry<Command>;
  /** What `sidero why` tells beside what stands in the Server. */
  readonly explainers: Registry<Explainer>;
  /** Kinds of ours, with their conversion and validation. */
  readonly customResources: Registry<CustomResource>;
  /** What the cluster must grant in which Sidero is installed by `clusterctl`. */
  readonly bundle: Registry<BundlePart>;
  /** A plugin that brings an API server, used when no cluster was given. */
  readonly cluster: { provide(connect: ConnectCluster): void };
  readonly site: Site;
  /** The environment, with the command line's flags laid over it. Read options through `definePlugin`'s `settings` instead. */
  readonly variables: Variables;
  /** Already bound to `{ plugin }`. */
  readonly log: Logger;
  readonly metrics: Metrics;
}
