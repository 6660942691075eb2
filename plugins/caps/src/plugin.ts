import { definePlugin } from '@sidero/core';
import * as z from 'zod';
import { capsCustomResources } from './custom-resources.ts';

/** The Cluster API provider; so far its kinds. */
export const caps = definePlugin({
  name: 'caps',
  options: z.strictObject({}),
  setup({ customResources }) {
    for (const resource of capsCustomResources()) customResources.add(resource);
  },
});
