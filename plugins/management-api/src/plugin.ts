import { definePlugin, type Setting } from '@sidero/core';
import * as z from 'zod';
import { managementApiDriver } from './driver.ts';

const options = z.strictObject({
  timeoutMs: z.int().min(1).max(600_000).default(10_000).describe('longest wait for an answer, from connecting to its last byte'),
  explicitFailure: z.number().min(0).max(1).default(0).describe('only for tests: probability that a call fails'),
  silentFailure: z.number().min(0).max(1).default(0).describe('only for tests: probability that a call does nothing and says it did'),
});

/** Power of servers that have `spec.managementApi`: virtual machines of talosctl's QEMU provisioner, and what speaks as they do. */
export const managementApi = definePlugin({
  name: 'management-api',
  options,
  settings: {
    explicitFailure: probability('SIDERO_CONTROLLER_MANAGER_TEST_POWER_EXPLICIT_FAILURE'),
    silentFailure: probability('SIDERO_CONTROLLER_MANAGER_TEST_POWER_SILENT_FAILURE'),
  },
  setup: ({ powerDrivers }, given) => powerDrivers.add(managementApiDriver(given)),
});

function probability(variable: string): Setting<number> {
  return { variable, expected: 'a probability from 0 to 1', parse: (text) => (/^(0?\.\d+|[01](\.\d*)?)$/.test(text) ? Number(text) : undefined) };
}
