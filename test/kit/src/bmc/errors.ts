import { defineErrors } from '@sidero/core';

/** Errors of the BMCs of others that tests start; alphabetical. */
export const failure = defineErrors({
  SIDERO_SIMULATOR_LATE: {
    message: (d: { name: string; address: string; why: string; tail: string }) =>
      `${d.name} does not serve ${d.address}: ${d.why}. Its last lines:\n${d.tail || 'none'}`,
    next: (d: { address: string }) => `see what else uses ${d.address}, and what it printed.`,
  },
  SIDERO_SIMULATOR_UNSUPPORTED: {
    message: (d: { name: string; missing: readonly { what: string }[] }) =>
      `${d.name} cannot run here; missing: ${d.missing.map(({ what }) => what).join('; ')}.`,
    next: (d: { missing: readonly { remedy: string }[] }) => [...new Set(d.missing.map(({ remedy }) => remedy))].join('; '),
  },
});
