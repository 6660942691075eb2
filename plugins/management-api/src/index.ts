/** @sidero/plugin-management-api: power of virtual machines over HTTP. */
export { managementApi } from './plugin.ts';
