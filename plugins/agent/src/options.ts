import { boolean } from '@sidero/core';
import * as z from 'zod';

const PREFIX = 'SIDERO_CONTROLLER_MANAGER';

/** What the plugin is told; the same names, variables and defaults as the original's flags. */
export const agentOptions = z.strictObject({
  autoAccept: z.boolean().default(false).describe('accept every machine that registers'),
  autoBmcSetup: z.boolean().default(true).describe('have machines tell where their BMC is, and make a login on it'),
  insecureWipe: z.boolean().default(true).describe('wipe by discarding, and clearing the first and last MiB; false writes zeros over every disk'),
  wipeMethod: z
    .enum(['insecure', 'zero', 'discard', 'nvme-sanitize', 'nvme-format', 'ata-secure-erase'])
    .optional()
    .describe('wipe every disk by this method, which each of them must know; wins over insecureWipe'),
});

export type AgentOptions = z.output<typeof agentOptions>;

export const agentSettings = {
  autoAccept: boolean(`${PREFIX}_AUTO_ACCEPT_SERVERS`),
  autoBmcSetup: boolean(`${PREFIX}_AUTO_BMC_SETUP`),
  insecureWipe: boolean(`${PREFIX}_INSECURE_WIPE`),
};
