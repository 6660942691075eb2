import { definePlugin } from '@sidero/core';
import * as z from 'zod';
import { RedfishDriver } from './driver.ts';

const name = z.string().min(1);

const options = z.strictObject({
  prefer: z.boolean().default(false).describe('try Redfish also where spec.bmc names no interface, and leave BMCs that lack it to the next driver'),
  auth: z.enum(['auto', 'session', 'basic']).default('auto').describe('how to log in; auto takes a session where the service has them'),
  networkBoot: z.enum(['pxe', 'uefi-http']).default('pxe').describe('what a UEFI machine is told to boot from the network by'),
  caSecret: z
    .strictObject({ namespace: name, name, key: name.default('ca.crt') })
    .optional()
    .describe("Secret with the CA certificates that sign the BMCs' own; without it those that Node trusts"),
  allowPlainHttp: z.boolean().default(false).describe('take endpoints that begin with http://; the login then crosses the network readable'),
  timeoutMs: z.int().min(1).max(600_000).default(15_000).describe('longest wait for one answer, from connecting to its last byte'),
  taskTimeoutMs: z.int().min(1).max(600_000).default(20_000).describe('longest wait for a task that an order began'),
});

// What a service may ask us to wait by Retry-After.
const PATIENCE_MS = 10_000;
const LOOK_MS = 1000;
const ABSENCE_MS = 600_000;

/** Power and boot device over Redfish, for Servers with `spec.bmc.interface: redfish`. */
export const redfish = definePlugin({
  name: 'redfish',
  options,
  setup({ powerDrivers, resources, log }, { taskTimeoutMs, caSecret, ...given }) {
    const pace = { taskMs: taskTimeoutMs, lookMs: LOOK_MS, patienceMs: PATIENCE_MS, absenceMs: ABSENCE_MS };
    powerDrivers.add(new RedfishDriver({ ...given, ...pace, caSecret, resources, log }));
  },
});
