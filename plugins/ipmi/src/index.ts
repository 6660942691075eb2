/** @sidero/plugin-ipmi: power over IPMI. */
export { ipmi } from './plugin.ts';
