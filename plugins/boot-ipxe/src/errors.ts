import { defineErrors, messageOf } from '@sidero/core';

/** Errors of DHCP, TFTP and the boot files; alphabetical. */
export const failure = defineErrors({
  SIDERO_BOOT_FILE_UNPATCHABLE: {
    message: (d: { file: string; problem: string }) => `${d.file} cannot carry our boot script: ${d.problem}.`,
    next: () => 'build iPXE again with a larger placeholder script, or use a build without one: it takes /boot.ipxe from DHCP instead.',
  },
  SIDERO_DHCP_INTERFACE_MISSING: {
    message: (d: { interface: string; problem: string }) => `DHCP: interface "${d.interface}" ${d.problem}.`,
    next: (d: { interface: string; remedy: string }) => `${d.remedy.replaceAll('NAME', d.interface)}; DHCP answers there as soon as that is done.`,
  },
  SIDERO_DHCP_LEASES_UNREADABLE: {
    message: (d: { file: string; cause?: unknown }) => `The DHCP leases in ${d.file} could not be read: ${messageOf(d.cause)}.`,
    next: (d: { file: string }) => `correct or remove ${d.file}; without it every machine gets an address anew.`,
  },
  SIDERO_DHCP_MALFORMED: {
    message: (d: { problem: string }) => `A DHCP packet is malformed: ${d.problem}.`,
    next: () => 'nothing to do when it is seen once; else look for the sender with tcpdump on UDP 67.',
  },
  SIDERO_DHCP_RANGE_INVALID: {
    message: (d: { interface: string; problem: string }) => `DHCP on "${d.interface}": ${d.problem}.`,
    next: () => 'give "range" two IPv4 addresses of the subnet of that interface, the lower one first.',
  },
  SIDERO_TFTP_MALFORMED: {
    message: (d: { problem: string }) => `A TFTP packet is malformed: ${d.problem}.`,
    next: () => 'nothing to do when it is seen once; else look for the sender with tcpdump on the TFTP port.',
  },
  SIDERO_TFTP_TRANSFER_FAILED: {
    message: (d: { file: string; server: string; problem: string }) => `${d.file} could not be fetched over TFTP from ${d.server}: ${d.problem}.`,
    next: () => 'see that the file is there, and that no firewall lies between: answers come from the port that was asked.',
  },
});
