/** A Kubernetes-compatible API in this process, on SQLite: for running Sidero with no cluster, and for tests. */
import { definePlugin, integer, text } from '@sidero/core';
import * as z from 'zod';
import { startApiServer } from './api-server.ts';

export { type ApiServer, type ApiServerOptions, startApiServer } from './api-server.ts';
export { failure } from './errors.ts';

/** Provides the API when no cluster was given. */
export const apiserver = definePlugin({
  name: 'apiserver',
  options: z.strictObject({
    address: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1').describe('IP address to listen on'),
    port: z.int().min(0).max(65_535).optional().describe('TCP port; absent: that of the last run, else 6443, else a free one'),
    historySize: z.int().min(10).max(1_000_000).default(2000).describe('changes kept per resource, from which watches can go on'),
  }),
  settings: {
    address: text('SIDERO_APISERVER_ADDRESS'),
    port: integer('SIDERO_APISERVER_PORT'),
  },
  setup({ cluster, log }, { port, ...options }) {
    cluster.provide(async ({ dataDir, customResources, signal }) => {
      const server = await startApiServer({ ...options, ...(port === undefined ? {} : { port }), dataDir, customResources, log });
      const close = () => void server.close().catch((err: unknown) => log.error({ err }, 'the API did not close cleanly'));
      if (signal.aborted) close();
      else signal.addEventListener('abort', close, { once: true });
      return server.kubeConfig;
    });
  },
});
