import { defineErrors, messageOf, SideroError } from '@sidero/core';

/** Errors of machine configurations and of the clusters made here; no text quotes a value, which may be a secret. */
export const failure = defineErrors({
  SIDERO_CONFIG_SERVER_UNKNOWN: {
    message: (d: { metalMachine: string; why: string }) => `No server to make the configuration of MetalMachine ${d.metalMachine} for: ${d.why}.`,
    next: () => 'look at kubectl get metalmachines -A, or name a server with --server.',
  },
  SIDERO_CONFIG_UNAVAILABLE: {
    message: (d: { metalMachine: string; why: string }) => `There is no configuration for MetalMachine ${d.metalMachine} yet: ${d.why}.`,
    next: () => 'wait for the bootstrap provider, or make what is missing; kubectl describe machine shows how far it is.',
  },
  SIDERO_MACHINE_CONFIG_INVALID: {
    message: (d: { what: string; problem: string }) => `${d.what} cannot be read: ${d.problem}.`,
    next: (d: { what: string }) => `correct ${d.what}; the machine asks again by itself.`,
  },
  SIDERO_MACHINE_CONFIG_PATCH_FAILED: {
    message: (d: { what: string; problem: string }) => `${d.what} does not fit the machine's configuration: ${d.problem}.`,
    next: (d: { what: string }) => `correct ${d.what}, or what comes before it; the machine asks again by itself.`,
  },
  SIDERO_METAL_MACHINE_UNNAMED: {
    message: (d: { given: string }) => `"${d.given}" names no MetalMachine.`,
    next: () => 'give NAMESPACE/NAME, as in default/rack-1-workers-x7k2p; kubectl get metalmachines -A lists them.',
  },
  SIDERO_STANDALONE_REFUSED: {
    message: (d: { why: string }) => `caps({ standalone: true }) does Cluster API's part on the embedded API only: ${d.why}.`,
    next: () => 'take standalone out of sidero.config.ts, and let Cluster API do its part; docs/first-cluster.md says how to move there.',
  },
  SIDERO_WORKLOAD_CLUSTER_AWAY: {
    message: (d: { cluster: string; problem: string }) => `The API of cluster ${d.cluster} cannot be used: ${d.problem}.`,
    next: (d: { cluster: string }) =>
      `see whether the control plane of ${d.cluster} runs, and its Secret with the kubeconfig; it is tried again by itself.`,
  },
});

/** What went wrong and what to do, for conditions and Events, which have one text. */
export function adviceOf(thrown: unknown): string {
  return thrown instanceof SideroError ? `${thrown.message} Next: ${thrown.next}` : messageOf(thrown);
}
