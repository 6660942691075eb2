import { defineErrors, messageOf } from '@sidero/core';

/** The error table of the test kit; alphabetical. */
export const failure = defineErrors({
  SIDERO_DEMO_FOLDER_REFUSED: {
    message: (d: { folder: string; problem: string }) => `The folder ${d.folder} ${d.problem}.`,
    next: () => 'give the demo a folder of its own with --data-dir, one that is not there yet, or none at all.',
  },
  SIDERO_DEMO_LATE: {
    message: (d: { goal: string; servers: number; seconds: number; missing: string }) =>
      `Not all of ${d.servers} machines were ${d.goal} within ${d.seconds} s; missing: ${d.missing}`,
    next: () => 'the lines above say what each machine waited for; the log of the management plane is named there too.',
  },
  SIDERO_DEMO_MACHINES_MISSING: {
    message: (d: { problem: string }) => `QEMU machines cannot be started here: ${d.problem}.`,
    next: (d: { problem: string; fix: string }) => `${d.fix}, or run the demo with --machines simulated.`,
  },
  SIDERO_DEMO_OPTION_INVALID: {
    message: (d: { option: string; problem: string }) => `${d.option} ${d.problem}.`,
    next: () => 'npm run demo -- --help lists the options.',
  },
  SIDERO_MACHINE_AGENT_FAILED: {
    message: (d: { machine: string; call: string; cause?: unknown }) => `Machine ${d.machine}: the agent's ${d.call} failed: ${messageOf(d.cause)}.`,
    next: () => 'look for the refusal in the log of plugin "agent".',
  },
  SIDERO_MACHINE_BOOT_FAILED: {
    message: (d: { machine: string; problem: string }) => `Machine ${d.machine} did not network-boot: ${d.problem}.`,
    next: () => 'look at the log of plugin "boot-ipxe" for requests from the address of the machine.',
  },
  SIDERO_MACHINE_CALL_FAILED: {
    message: (d: { path: string; cause?: unknown }) => `A simulated machine's call of ${d.path} failed: ${messageOf(d.cause)}.`,
    next: () => 'look for the refusal in the log of the management plane.',
  },
  SIDERO_MACHINE_DHCP_TIMEOUT: {
    message: (d: { machine: string; port: number; attempts: number }) =>
      `Machine ${d.machine}: no usable DHCP answer from port ${d.port} to ${d.attempts} requests.`,
    next: (d: { port: number }) => `see that the DHCP service listens on UDP ${d.port}, and that it serves the architecture of this machine.`,
  },
  SIDERO_MACHINE_IPXE_FAILED: {
    message: (d: { problem: string }) => `The iPXE script ended without booting anything: ${d.problem}.`,
    next: () => 'the console of the machine (machine.console) shows the last command.',
  },
  SIDERO_MACHINE_TFTP_FAILED: {
    message: (d: { machine: string; file: string; problem: string }) => `Machine ${d.machine}: TFTP of ${d.file}: ${d.problem}.`,
    next: () => 'fetch the same file with a TFTP client; `sidero inspect` lists the files that are served.',
  },
  SIDERO_PORTS_EXHAUSTED: {
    message: (d: { count: number; first: number; last: number }) => `No ${d.count} consecutive ports between ${d.first} and ${d.last} are free.`,
    next: () => 'see who listens there (`ss -lntup`), and end test runs that were left over.',
  },
  SIDERO_TEST_KIND_UNKNOWN: {
    message: (d: { apiVersion: string; kind: string }) => `testSidero cannot create a ${d.apiVersion} ${d.kind}.`,
    next: () => 'create it in the test, through `resources.create` with a Kind of its own.',
  },
});
