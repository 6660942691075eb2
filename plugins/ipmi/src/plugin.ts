import { definePlugin } from '@sidero/core';
import * as z from 'zod';
import { ipmiDriver } from './driver.ts';

const options = z.strictObject({
  cipherSuites: z
    .array(z.union([z.literal(17), z.literal(3)]))
    .min(1)
    .default([17, 3])
    .describe('cipher suites of RMCP+, tried in this order until the BMC takes one'),
  privilege: z.enum(['administrator', 'operator']).default('administrator').describe('privilege level of the sessions'),
  timeoutMs: z.int().min(10).max(60_000).default(1000).describe('silence before a packet is sent again; grows by half each time'),
  retries: z.int().min(0).max(10).default(3).describe('repetitions before a silent BMC is given up'),
});

/** Power over IPMI: RMCP+ (`lanplus`) and IPMI 1.5 (`lan`). */
export const ipmi = definePlugin({
  name: 'ipmi',
  options,
  setup({ powerDrivers, log, metrics }, given) {
    const dropped = metrics.counter('sidero_ipmi_packets_dropped_total', 'Packets of BMCs that were dropped, by reason.', ['reason']);
    powerDrivers.add(ipmiDriver(given, { log, dropped: (reason) => dropped({ reason }) }));
  },
});
