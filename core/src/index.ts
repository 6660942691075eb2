/** The public entry of @sidero/core: all that a plugin may import. */
export { checkConfig, defineConfig, type LoadedConfig, loadConfig, type SideroConfig, type SiteOptions } from './config.ts';
export { SideroError, defineErrors, failure, hasCode, messageOf } from './errors.ts';
export type * from './hooks.ts';
export type { BootPass, Lifecycle, Registration } from './lifecycle/index.ts';
export { createLogger, type Logger } from './log.ts';
export { createMetrics, type Metrics } from './metrics.ts';
export { definePlugin, type Plugin, type PluginDefinition, type PluginFactory } from './plugin.ts';
export type { Controller } from './reconcile/controller.ts';
export type * from './registries.ts';
export type { Registry } from './registry.ts';
export type { Change, Filter, ResourceClient } from './resources/client.ts';
export type * from './resources/custom-resource.ts';
export * from './resources/kinds.ts';
export { createResourceClient, type ResourceClientOptions, type RunningResourceClient } from './resources/kube-client.ts';
export { labelSelector } from './resources/label-selector.ts';
export { boolean, duration, integer, list, type Setting, text, type Variables } from './settings.ts';
export type { ClusterContext, ConnectCluster, Route, Sidero, Site } from './sidero.ts';
export { type RunningSidero, type StartOptions, startSidero } from './start.ts';
