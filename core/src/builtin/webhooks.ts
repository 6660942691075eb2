import * as z from 'zod';
import { definePlugin, integer, text, webhookService } from '../index.ts';

/** The listener a real API server calls to convert and validate our kinds. */
export const webhooks = definePlugin({
  name: 'webhooks',
  options: z.strictObject({
    port: z.int().min(0).max(65_535).default(9443).describe('TCP port of the listener'),
    certDir: z
      .string()
      .min(1)
      .default('/tmp/k8s-webhook-server/serving-certs/')
      .describe("folder of tls.crt and tls.key, as cert-manager's Secret is mounted"),
  }),
  settings: { port: integer('SIDERO_WEBHOOK_PORT'), certDir: text('SIDERO_WEBHOOK_CERT_DIR') },
  setup({ customResources, services, log, metrics }, { port, certDir }) {
    services.add(webhookService({ customResources, log, metrics, port, certificate: { directory: certDir } }));
  },
});
