/** Conformance suites: call them in a Vitest file of your plugin. They need vitest, which the rest of the kit does not. */
export { describeDiskBoot } from './disk-boot.ts';
export { describePlugin, type PluginCase } from './plugin.ts';
export { describeService } from './service.ts';
