import * as z from 'zod';
import { coreCustomResources, definePlugin } from '../index.ts';

/** The kinds that core owns, with their conversion and validation. */
export const customResources = definePlugin({
  name: 'custom-resources',
  options: z.strictObject({}),
  setup(sidero) {
    const brought = () => ({
      diskBoots: sidero.diskBoots.list().map(({ name }) => name),
      bmcInterfaces: sidero.powerDrivers.list().flatMap(({ interfaces = [] }) => interfaces),
    });
    for (const resource of coreCustomResources(brought)) sidero.customResources.add(resource);
  },
});
