import { defineErrors } from '@sidero/core';

/** This plugin's error table; alphabetical. */
export const failure = defineErrors({});
