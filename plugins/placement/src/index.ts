/** @sidero/plugin-placement: which of the servers that fit a machine gets. */
export { PLACED_FOR_ANNOTATION } from './group.ts';
export { placement } from './plugin.ts';
