import { boolean, definePlugin, duration } from '@sidero/core';
import * as z from 'zod';
import { addAllocateCommand } from './allocate-command.ts';
import { bundlePart } from './bundle-part.ts';
import { clusterApiOf } from './cluster-api-version.ts';
import { addBootArgument } from './configdata/boot-argument.ts';
import { addConfigRoute } from './configdata/config-route.ts';
import { keepSources } from './configdata/keep-sources.ts';
import { addRenderCommand } from './configdata/render-command.ts';
import { addSilentTalos } from './configdata/silent-talos.ts';
import { addControllers } from './controllers/index.ts';
import { capsCustomResources } from './custom-resources.ts';
import { addExplainer } from './explain/add-explainer.ts';
import { addStandalone } from './standalone/index.ts';

/** The Cluster API provider: its kinds, the loops over them, and the configuration of bound machines. */
export const caps = definePlugin({
  name: 'caps',
  options: z.strictObject({
    orphanGraceMs: z
      .int()
      .min(0)
      .default(10 * 60_000)
      .describe('how long a ServerBinding is kept whose MetalMachine is gone while its Cluster exists; then it is freed, and its server wiped'),
    standalone: z.boolean().default(false).describe("on the embedded API: does the part of Cluster API's own work that machines need"),
  }),
  settings: { orphanGraceMs: duration('SIDERO_CAPS_ORPHAN_GRACE'), standalone: boolean('SIDERO_CAPS_STANDALONE') },
  setup(sidero, { orphanGraceMs, standalone }) {
    for (const resource of capsCustomResources()) sidero.customResources.add(resource);
    sidero.bundle.add(bundlePart());
    const clusterApi = clusterApiOf(sidero.resources);
    addConfigRoute(sidero, clusterApi.kinds);
    keepSources(sidero, clusterApi);
    addSilentTalos(sidero);
    addBootArgument(sidero);
    const workloads = addControllers(sidero, { clusterApi, orphanGraceMs });
    if (standalone) addStandalone(sidero, workloads);
    addRenderCommand(sidero, clusterApi.kinds);
    addAllocateCommand(sidero, clusterApi);
    addExplainer(sidero, clusterApi);
  },
});
