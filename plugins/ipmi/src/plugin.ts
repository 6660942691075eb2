import { definePlugin } from '@sidero/core';
import * as z from 'zod';

/** Power over IPMI: RMCP+ (`lanplus`) and IPMI 1.5 (`lan`). */
export const ipmi = definePlugin({
  name: 'ipmi',
  options: z.strictObject({}),
  setup() {},
});
