import type { BootPlan } from '@sidero/core';
import type { BootQuery } from './boot-query.ts';

/** What all NICs together are tried, before a machine reboots. */
const ATTEMPTS = 10;

/**
 * The script behind `/boot.ipxe` and in patched binaries: gets an address on one NIC after the other and asks `/ipxe` there.
 * Under 1000 bytes for any IP address: that is what iPXE builds reserve for it.
 */
export function bootstrapScript(authority: string): string {
  const query =
    'uuid=${uuid}&mac=${net${idx}/mac:hexhyp}&domain=${domain:uristring}&hostname=${hostname:uristring}&serial=${serial:uristring}&arch=${buildarch}';
  return lines(
    '#!ipxe',
    'prompt --key 0x02 --timeout 2000 Press Ctrl-B for the iPXE command line... && shell ||',
    'ifstat',
    `set attempts:int32 ${ATTEMPTS}`,
    'set x:int32 0',
    ':retry_loop',
    'set idx:int32 0',
    ':loop',
    'isset ${net${idx}/mac} || goto exhausted',
    'ifclose',
    // Builds of before 2020 (Debian's) lack the command; `dhcp` waits for the link as well, only longer.
    'iflinkwait --timeout 5000 net${idx} ||',
    'dhcp net${idx} || goto next_iface',
    'goto boot',
    ':next_iface',
    'inc idx && goto loop',
    ':boot',
    'route',
    `chain --replace http://${authority}/ipxe?${query} || goto next_iface`,
    ':exhausted',
    'echo',
    'echo No network interface gave an answer from Sidero',
    'inc x',
    'iseq ${x} ${attempts} && goto fail ||',
    'echo Retrying...',
    'goto retry_loop',
    ':fail',
    'echo Giving up after ${attempts} attempts, rebooting in 5 seconds...',
    'sleep 5',
    'reboot',
  );
}

/** The script that boots kernel and initial RAM disk; paths are relative to where it was fetched. */
export function renderBootScript(plan: Extract<BootPlan, { target: 'agent' | 'environment' }>): string {
  const { environment, args } = plan;
  // Two spaces before the first argument, as the original has it.
  const command = `kernel /env/${environment}/vmlinuz ${args.map((arg) => ` ${arg}`).join('')}`;
  return lines('#!ipxe', command, `initrd /env/${environment}/initramfs.xz`, 'boot');
}

/** The script that shows why there is nothing to boot yet, and asks again. It replaces the loop of the first script, so it has its own. */
export function renderWaitScript(reason: string, again: { readonly authority: string; readonly query: BootQuery; readonly seconds: number }): string {
  const { authority, query, seconds } = again;
  const url = `http://${authority}/ipxe?uuid=${query.uuid}&mac=${query.mac.replaceAll(':', '-')}&arch=${query.arch === 'arm64' ? 'arm64' : 'x86_64'}`;
  return lines(
    '#!ipxe',
    ':again',
    `echo ${speakable(reason)}`,
    `echo Asking again in ${seconds} seconds...`,
    `sleep ${seconds}`,
    `chain --replace ${url} || goto again`,
  );
}

// What iPXE's `echo` shows as it stands: no variable, no operator, no quote, one line.
function speakable(text: string): string {
  const plain = text
    .replace(/\s+/g, ' ')
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/["'`$\\{}&|;#]/g, '');
  return plain.slice(0, 300).trim();
}

function lines(...all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}
