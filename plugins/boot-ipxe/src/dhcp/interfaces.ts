import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { Subnet } from './ipv4.ts';

/** IPv4 networks of an interface; undefined when the interface does not exist (or has no address at all). */
export function subnetsOf(name: string): readonly Subnet[] | undefined {
  return networkInterfaces()
    [name]?.filter(({ family }) => family === 'IPv4')
    .map(({ address, netmask }) => ({ address, netmask }));
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
