import { isIP } from 'node:net';
import { definePlugin } from '@sidero/core';
import * as z from 'zod';
import { wakeOnLanDriver } from './driver.ts';

const options = z.strictObject({
  broadcast: z
    // Node's own test takes an IPv6 address with its interface, as multicast needs it.
    .array(z.string().refine((text) => isIP(text) !== 0, 'is not an IP address'))
    .min(1)
    .default(['255.255.255.255'])
    .describe('addresses that packets are sent to: best the broadcast address of each network with machines'),
  port: z.int().min(1).max(65_535).default(9).describe('UDP port that packets are sent to; cards do not look at it'),
});

/** Turns on servers with the annotation `metal.sidero.dev/wake-on-lan`; it can do nothing else. */
export const wakeOnLan = definePlugin({
  name: 'wake-on-lan',
  options,
  setup: ({ powerDrivers }, given) => powerDrivers.add(wakeOnLanDriver(given)),
});
