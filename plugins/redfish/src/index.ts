/** @sidero/plugin-redfish: power and boot device over Redfish. */
export { redfish } from './plugin.ts';
