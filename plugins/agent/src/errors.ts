import { defineErrors } from '@sidero/core';

/** This plugin's error table; alphabetical. */
export const failure = defineErrors({
  SIDERO_AGENT_NOT_ACCEPTED: {
    message: (d: { server: string; what: string }) => `Server ${d.server} is not accepted, so ${d.what}.`,
    next: (d: { server: string }) => `accept it: kubectl patch server ${d.server} --type merge -p '{"spec":{"accepted":true}}'.`,
  },
  SIDERO_AGENT_REQUEST_INVALID: {
    message: (d: { method: string; field: string; problem: string }) => `${d.method}: ${d.field} ${d.problem}.`,
    next: () => 'boot the machine with the agent that belongs to this installation; if it is, report the request as a bug.',
  },
});
