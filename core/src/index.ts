/** The public entry of @sidero/core: all that a plugin may import. */
export type * from './bundle/bundle-part.ts';
export { checkConfig, defineConfig, type LoadedConfig, loadConfig, type SideroConfig, type SiteOptions } from './config.ts';
export { SideroError, defineErrors, failure, hasCode, messageOf } from './errors.ts';
export type * from './hooks.ts';
export { ADOPT_ANNOTATION, adoptionOf, isAdopted } from './lifecycle/adoption.ts';
export { type DiskNames, type DiskOrder, isSameDisk, orderFor, ruleFits } from './lifecycle/disk-rules.ts';
export { FENCE_ANNOTATION, type Fence, fenceOf, readInstallation, takeFence } from './lifecycle/fence.ts';
export type { BootPass, Lifecycle, Registration } from './lifecycle/index.ts';
export { environmentNameOf } from './lifecycle/boot-choice.ts';
export { appendMissing, talosKernelArgs } from './lifecycle/kernel-args.ts';
export {
  assetsOf,
  assetState,
  type EnvironmentAsset,
  environmentFolder,
  type FetchedFile,
  type FetchRecord,
  fetchRecordPath,
  readFetchRecord,
} from './lifecycle/local-copy.ts';
export { createRateLimit, type RateLimit } from './lifecycle/rate-limit.ts';
export { heldByRecord, plannedDisks } from './lifecycle/wipe-record.ts';
export type { BoundMachine, MachineTokens, TokenPurpose } from './lifecycle/machine-token.ts';
export { createLogger, type Logger } from './log.ts';
export { createMetrics, type Metrics } from './metrics.ts';
export { definePlugin, type Plugin, type PluginDefinition, type PluginFactory } from './plugin.ts';
export type * from './power/index.ts';
export * from './power/request.ts';
export type { Controller, LateKind } from './reconcile/controller.ts';
export {
  leaderIdentity,
  type LeaderOptions,
  leadingHost,
  leaseIsLive,
  type LeaseIsLiveOptions,
  type LeaseTiming,
  runAsLeader,
} from './reconcile/leader.ts';
export { runControllers, type RunControllersOptions } from './reconcile/run-controllers.ts';
export type * from './registries.ts';
export type { Registry } from './registry.ts';
export type { Change, Filter, ResourceClient } from './resources/client.ts';
export * from './resources/conditions.ts';
export { copyJson } from './resources/copy-json.ts';
export { conversionOf, type ObjectBody, type OldVersion } from './resources/convert.ts';
export type * from './resources/custom-resource.ts';
export { coreCustomResources } from './resources/custom-resources.ts';
export * from './resources/kinds.ts';
export { createResourceClient, type ResourceClientOptions, type RunningResourceClient } from './resources/kube-client.ts';
export { inlineKubeConfig } from './resources/inline-kube-config.ts';
export { labelSelector } from './resources/label-selector.ts';
export { matchServerClass } from './resources/match-server-class.ts';
export { addressOfPeer, clientAddress } from './serve/client-address.ts';
export { serviceDefinition } from './serve/service-definition.ts';
export { type Certificate, type WebhookOptions, webhookService } from './serve/webhooks.ts';
export { boolean, duration, integer, list, type Setting, text, type Variables } from './settings.ts';
export type { ClusterContext, ConnectCluster, Route, Sidero, Site } from './sidero.ts';
export { orAborted } from './waiting/or-aborted.ts';
