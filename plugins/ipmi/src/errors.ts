import { defineErrors } from '@sidero/core';

/** Errors of the packets; what a BMC does wrong is told with core's SIDERO_BMC codes. Alphabetical. */
export const failure = defineErrors({
  SIDERO_IPMI_MALFORMED: {
    message: (d: { problem: string }) => `An IPMI packet is malformed: ${d.problem}.`,
    next: () => 'nothing to do when it is seen once; else look for the sender with tcpdump on UDP 623.',
  },
  SIDERO_IPMI_UNPROVEN: {
    message: (d: { problem: string }) => `An IPMI packet does not prove that it belongs to its session: ${d.problem}.`,
    next: () => 'nothing to do when it is seen once; else somebody else sends packets in the name of the BMC, or it was changed on its way.',
  },
});
