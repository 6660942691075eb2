/** @sidero/plugin-caps: Cluster API on bare metal. */
export { capsCustomResources } from './custom-resources.ts';
export * from './kinds.ts';
export { caps } from './plugin.ts';
export type * from './types.gen.ts';
