import { defineErrors } from '@sidero/core';
import { reachLeader } from './commands/reach-leader.ts';

/** This plugin's error table; alphabetical. No text quotes a key or a token. */
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
  SIDERO_PROVISION_INVALID: {
    message: (d: { field: string; problem: string }) => `A machine asked to join SideroLink with a ${d.field} that ${d.problem}.`,
    next: () => 'nothing is to be done for a machine that runs Talos; what else called is in the log, with its address.',
  },
  SIDERO_PROVISION_KEY_INVALID: {
    message: (d: { problem: string }) => `error parsing Wireguard key: ${d.problem}`,
    next: () => 'nothing is to be done for a machine that runs Talos; what else called is in the log, with its address.',
  },
  SIDERO_PROVISION_LIMITED: {
    message: (d: { server: string }) => `Server ${d.server}: it asks to join SideroLink too often.`,
    next: () => 'see in the log at which address the calls come from; the limit is by server, and passes by itself.',
  },
  SIDERO_PROVISION_PENDING: {
    message: (d: { server: string; why: string }) => `Server ${d.server}: its end of the tunnel is not in place: ${d.why}.`,
    next: () => 'the machine asks again by itself; if this stays, see the log of the replica that leads.',
  },
  SIDERO_PROVISION_REFUSED: {
    message: (d: { server: string; why: string }) => `Server ${d.server}: a machine may not join SideroLink in its name: ${d.why}.`,
    next: (d: { server: string }) =>
      `if it is the machine itself, boot it from the network once (kubectl describe server ${d.server} tells which address asked).`,
  },
  SIDERO_PROVISION_UNKNOWN: {
    message: (d: { server: string }) => `server binding "${d.server}" not found`,
    next: () => 'nothing is to be done: the machine is not allocated, and is wiped when Sidero boots it next.',
  },
  SIDERO_SIDEROLINK_INTERFACE_TAKEN: {
    message: (d: { interface: string; kind: string }) =>
      `The network interface ${d.interface} is there already, and is no WireGuard of ours (${d.kind}).`,
    next: (d: { interface: string }) => `remove it (ip link delete ${d.interface}) or set the option "interface" of siderolink(…).`,
  },
  SIDERO_SIDEROLINK_LOOPBACK_REFUSED: {
    message: (d: { endpoint: string }) =>
      `siderolink({ tunnel: 'loopback' }) is for demos on one machine, and ${d.endpoint} is not a loopback address.`,
    next: () => "take tunnel: 'loopback' out of sidero.config.ts.",
  },
  SIDERO_SIDEROLINK_SECRET_INVALID: {
    message: (d: { key: string; problem: string }) => `The Secret default/siderolink cannot be used: ${d.key} ${d.problem}.`,
    next: () =>
      'restore it from a backup; to give all machines new keys and addresses instead, see "A lost Secret" in the README of @sidero/plugin-siderolink.',
  },
  SIDERO_SIDEROLINK_SECRET_MISSING: {
    message: (d: { bindings: number }) =>
      `The Secret default/siderolink is gone while ${d.bindings} ServerBinding(s) have addresses that it gave: no other one is made.`,
    next: () =>
      'restore it from a backup; to give all machines new keys and addresses instead, see "A lost Secret" in the README of @sidero/plugin-siderolink.',
  },
  SIDERO_SIDEROLINK_TUNNEL_FAILED: {
    message: (d: { what: string; problem: string }) => `WireGuard did not take what it was told: ${d.what}: ${d.problem}.`,
    next: () => 'nothing is to be done at first: the tunnel is made anew; if this stays, see the log.',
  },
  SIDERO_SIDEROLINK_TUNNEL_UNAVAILABLE: {
    message: (d: { interface: string; why: string; next: string }) => `There is no tunnel ${d.interface} to the machines: ${d.why}.`,
    next: (d: { interface: string; why: string; next: string }) => d.next,
  },
  SIDERO_SIDEROLINK_UNKNOWN_YET: {
    message: () => 'The Secret default/siderolink was not read yet, so nobody can be told where SideroLink is.',
    next: () => 'wait: it is read as soon as the API answers.',
  },
});
