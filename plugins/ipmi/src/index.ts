/** @sidero/plugin-ipmi: power over IPMI. */
export { BmcConnection, type CommandCall, type ConnectionTerms } from './client/connection.ts';
export { Chassis } from './client/chassis.ts';
export { type DropReason, waitsOf } from './client/exchange.ts';
export { deviceId, lanChannel, lanParameter } from './client/lan-channel.ts';
export { type UserPassword, Users } from './client/users.ts';
export { ipmi } from './plugin.ts';
