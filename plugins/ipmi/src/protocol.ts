/** IPMI over LAN as bytes, both ends of it: pure functions, no socket. */
export * from './wire/chassis-commands.ts';
export * from './wire/cipher-suite.ts';
export * from './wire/commands.ts';
export * from './wire/completion-codes.ts';
export * from './wire/device-commands.ts';
export * from './wire/lan-message.ts';
export * from './wire/rakp.ts';
export * from './wire/rmcp.ts';
export * from './wire/session-commands.ts';
export * from './wire/session-keys.ts';
export * from './wire/session-packet.ts';
export * from './wire/user-commands.ts';
