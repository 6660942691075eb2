import { readFile } from 'node:fs/promises';
import { definePlugin, defineConfig } from '@sidero/core';
import { agent } from '@sidero/plugin-agent';
import { apiserver } from '@sidero/plugin-apiserver';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { caps } from '@sidero/plugin-caps';
import { ipmi } from '@sidero/plugin-ipmi';
import { placement } from '@sidero/plugin-placement';
import * as z from 'zod';

/** Gives new servers the BMC that a list knows for them, as a site's inventory would. */
const bmcList = definePlugin({
  name: 'bmc-list',
  options: z.strictObject({ file: z.string() }),
  setup({ hooks }, { file }) {
    let list: Promise<Record<string, { port: number; zone: string }>> | undefined;
    hooks.discover.tapPromise('bmc-list', async (draft, { uuid }) => {
      list ??= readFile(file, 'utf8').then((text) => JSON.parse(text) as Record<string, { port: number; zone: string }>);
      const known = (await list)[uuid];
      if (!known) return draft;
      const bmc = { endpoint: '127.0.0.1', port: known.port, interface: 'lanplus', user: 'admin', pass: 'secret' };
      return { ...draft, labels: { ...draft.labels, 'topology.kubernetes.io/zone': known.zone }, spec: { ...draft.spec, bmc } };
    });
  },
});

export default defineConfig({
  endpoint: '127.0.0.1',
  insecureDiagnostics: true,
  plugins: [
    apiserver(),
    bootIpxe({ tftpAddress: '127.0.0.1' }),
    agent({ autoAccept: true }),
    ipmi(),
    caps({ standalone: true }),
    placement(),
    bmcList({ file: process.env['SIDERO_BENCH_BMCS'] ?? '' }),
  ],
});
