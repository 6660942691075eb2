import * as z from 'zod';
import { coreCustomResources, definePlugin } from '../index.ts';

/** The kinds that core owns, with their conversion and validation. */
export const customResources = definePlugin({
  name: 'custom-resources',
  options: z.strictObject({}),
  setup(sidero) {
    const diskBoots = () => sidero.diskBoots.list().map(({ name }) => name);
    for (const resource of coreCustomResources(diskBoots)) sidero.customResources.add(resource);
  },
});
