/** @sidero/plugin-wake-on-lan: turns machines on by a magic packet. */
export { magicPacket } from './magic-packet.ts';
export { wakeOnLan } from './plugin.ts';
