/** Conformance suites: call them in a Vitest file of your plugin. They need vitest, which the rest of the kit does not. */
export { describeDiskBoot } from './disk-boot.ts';
export { describeLeaderElection } from './leader-election.ts';
export { describePlugin, type PluginCase } from './plugin.ts';
export { describePowerDriver, type PowerAbility, type PowerCase, type PowerDriverCase } from './power-driver.ts';
export { describeResourceClient, type RunningApi } from './resource-client.ts';
export { type Registrations, registrations } from './registrations.ts';
export { describeService } from './service.ts';
