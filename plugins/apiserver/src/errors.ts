import { defineErrors, messageOf } from '@sidero/core';

/** The errors of starting and running the embedded API; alphabetical. Requests are answered with a Status instead. */
export const failure = defineErrors({
  SIDERO_APISERVER_DATA_IN_USE: {
    message: (d: { directory: string; pid: string }) => `The API data in ${d.directory} is in use by another process (${d.pid}).`,
    next: (d: { directory: string; pid: string }) => `stop that process (${d.pid}), or give this one another data directory.`,
  },
  SIDERO_APISERVER_DATA_UNREADABLE: {
    message: (d: { path: string; cause?: unknown }) => `${d.path} could not be used: ${messageOf(d.cause)}.`,
    next: (d: { path: string }) => `check owner, free space and permissions of ${d.path}; restore it from a backup if it is damaged.`,
  },
  SIDERO_APISERVER_DEFINITION_INVALID: {
    message: (d: { name: string; problem: string }) => `The definition ${d.name} cannot be served: ${d.problem}.`,
    next: (d: { name: string }) => `correct the CustomResourceDefinition ${d.name} of the plugin that adds it.`,
  },
  SIDERO_APISERVER_DISK_FULL: {
    message: (d: { directory: string; cause?: unknown }) => `There is no space left for the API's data in ${d.directory}: nothing can be written.`,
    next: (d: { directory: string }) =>
      `make room on the disk of ${d.directory} (df ${d.directory}); writing goes on by itself then, and nothing is lost.`,
  },
  SIDERO_APISERVER_LISTEN_FAILED: {
    message: (d: { address: string; port: number; cause?: unknown }) =>
      `The embedded API cannot listen on ${d.address}:${d.port}: ${messageOf(d.cause)}.`,
    next: (d: { address: string; port: number }) => `stop what uses port ${d.port}, or set the option "port" of apiserver(…).`,
  },
});
