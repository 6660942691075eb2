import * as z from 'zod';
import { definePlugin } from '../../index.ts';
import { serverLoop } from './server-loop.ts';

/** Brings each server to where it should be: wiped, clean and off; or in use and on. */
export const servers = definePlugin({
  name: 'servers',
  options: z.strictObject({}),
  setup({ controllers, ...parts }) {
    controllers.add(serverLoop({ ...parts, now: () => new Date() }));
  },
});
