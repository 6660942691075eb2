import { defineErrors } from '@sidero/core';

/** Errors of machine configurations; no text quotes a value, which may be a secret. */
export const failure = defineErrors({
  SIDERO_MACHINE_CONFIG_INVALID: {
    message: (d: { what: string; problem: string }) => `${d.what} cannot be read: ${d.problem}.`,
    next: (d: { what: string }) => `correct ${d.what}; the machine asks again by itself.`,
  },
  SIDERO_MACHINE_CONFIG_PATCH_FAILED: {
    message: (d: { what: string; problem: string }) => `${d.what} does not fit the machine's configuration: ${d.problem}.`,
    next: (d: { what: string }) => `correct ${d.what}, or what comes before it; the machine asks again by itself.`,
  },
});
