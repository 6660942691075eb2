import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { Subnet } from './ipv4.ts';

/** IPv4 networks of an interface; undefined when it does not exist, has no address at all, is down, or has no carrier: Node leaves those out. */
export function subnetsOf(name: string): readonly Subnet[] | undefined {
  return networkInterfaces()
    [name]?.filter(({ family }) => family === 'IPv4')
    .map(({ address, netmask }) => ({ address, netmask }));
}

/** What an interface lacks, as a clause after its name, and what to do about it. */
export interface Lack {
  readonly problem: string;
  readonly remedy: string;
}

const MISSING: Lack = { problem: 'is not there', remedy: 'make it, or correct "dhcp" of bootIpxe(…); ip link shows those that are there' };
const DOWN: Lack = { problem: 'is down', remedy: 'bring it up: ip link set NAME up' };
const NO_CARRIER: Lack = {
  problem: 'is up, but has no carrier',
  remedy: 'see to its cable and the port of the switch; a bridge has a carrier as soon as one of its ports has',
};
const NO_ADDRESS: Lack = { problem: 'has no IPv4 address', remedy: 'give it one: ip address add ADDRESS/PREFIX dev NAME' };
const UNKNOWN: Lack = { problem: 'is down, has no carrier, or has no IPv4 address', remedy: 'see which: ip address show NAME' };

/** Why an interface has no IPv4 network here; `net` is where the kernel tells of them. */
export function lackOf(name: string, net = { devices: '/proc/net/dev', details: '/sys/class/net' }): Lack {
  if (networkInterfaces()[name]) return NO_ADDRESS;
  if (process.platform !== 'linux') return MISSING;
  const names = readFileSync(net.devices, 'utf8').matchAll(/^\s*([^\s:]+):/gm);
  if (![...names].some(([, known]) => known === name)) return MISSING;
  return { '0': NO_CARRIER, '1': NO_ADDRESS, EINVAL: DOWN }[carrierOf(`${net.details}/${name}/carrier`)] ?? UNKNOWN;
}

// "1" or "0"; the kernel refuses to tell while the interface is down (EINVAL). Where /sys is another network's, it is not there at all.
function carrierOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code ?? '';
  }
}

/** MAC addresses the kernel has resolved lately, by IP address; empty where there is no `/proc/net/arp`. */
export async function readNeighbours(): Promise<ReadonlyMap<string, string>> {
  const table = await readFile('/proc/net/arp', 'utf8').catch(() => '');
  return parseNeighbours(table);
}

/** Reads the kernel's table: address, type, flags, hardware address, mask, device. Entries that were never answered are left out. */
export function parseNeighbours(table: string): ReadonlyMap<string, string> {
  const rows = table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
  return new Map(rows.filter(([, , flags, mac]) => flags === '0x2' && mac).map(([address, , , mac]) => [address!, mac!.toLowerCase()]));
}
