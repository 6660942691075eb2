import { defineErrors } from '@sidero/core';
import { reachLeader } from './reach-leader.ts';

/** What `sidero logs` and its like say; alphabetical. */
export const failure = defineErrors({
  SIDERO_LINES_ELSEWHERE: {
    message: (d: { server: string; what: string; leader: string | undefined }) =>
      `The ${d.what} of server ${d.server} does not come to this replica, which does not lead; ${d.leader ?? 'none'} does now.`,
    next: (d: { leader: string | undefined; namespace: string }) => `ask the one that leads: ${reachLeader(d)}, then the same again.`,
  },
  SIDERO_LINES_MISSING: {
    message: (d: { server: string; what: string; where: string }) => `Nothing is kept of the ${d.what} of server ${d.server} in ${d.where}.`,
    next: () =>
      'give --data-dir as the running sidero has it, or reach it with --from (kubectl port-forward, then --from https://localhost:8443); kubectl get serverbindings shows which machines have joined.',
  },
  SIDERO_LINES_OPTION_INVALID: {
    message: (d: { option: string; value: string; expected: string }) => `${d.option} ${d.value}: ${d.expected} is expected.`,
    next: (d: { option: string }) => `correct ${d.option}; --help has an example.`,
  },
  SIDERO_LINES_UNREADABLE: {
    message: (d: { url: string; problem: string }) => `${d.url} does not give the lines: ${d.problem}.`,
    next: () =>
      'give a token that the Kubernetes API lets read the path: SIDERO_TOKEN=$(kubectl create token NAME), see "Reading from elsewhere" in the README of @sidero/plugin-siderolink.',
  },
});
