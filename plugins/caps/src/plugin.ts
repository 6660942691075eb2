import { definePlugin } from '@sidero/core';
import * as z from 'zod';
import { clusterApiKindsOf } from './cluster-api-version.ts';
import { addBootArgument } from './configdata/boot-argument.ts';
import { ConfigDesk } from './configdata/config-desk.ts';
import { addConfigRoute } from './configdata/config-route.ts';
import { addRenderCommand } from './configdata/render-command.ts';
import { capsCustomResources } from './custom-resources.ts';

/** The Cluster API provider; so far its kinds, and the configuration of bound machines. */
export const caps = definePlugin({
  name: 'caps',
  options: z.strictObject({}),
  setup(sidero) {
    for (const resource of capsCustomResources()) sidero.customResources.add(resource);
    const { resources, lifecycle } = sidero;
    const kinds = clusterApiKindsOf(resources);
    addConfigRoute(sidero, new ConfigDesk({ resources, lifecycle, kinds }));
    addBootArgument(sidero);
    addRenderCommand(sidero, kinds);
  },
});
