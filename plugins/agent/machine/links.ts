import type { MessageInitShape } from '@bufbuild/protobuf';
import type { NetworkInformationSchema, NetworkInterfaceSchema } from '@sidero/plugin-agent/protocol';
import { BlockList, isIPv6 } from 'node:net';
import type { Machine } from './machine.ts';

type Link = MessageInitShape<typeof NetworkInterfaceSchema> & { readonly index: number; readonly name: string; readonly mac: string };

const FLAGS: readonly (readonly [bit: number, name: string])[] = [
  [0x1, 'up'],
  [0x2, 'broadcast'],
  [0x8, 'loopback'],
  [0x10, 'pointtopoint'],
  [0x1000, 'multicast'],
];

/** Interfaces that have a hardware address, by index. */
export function networkFacts(machine: Machine): MessageInitShape<typeof NetworkInformationSchema> & { interfaces: Link[] } {
  const addresses = machine.addresses();
  const names = machine.list('/sys/class/net');
  const links = names.map((name) => linkFacts(machine, name, addresses[name] ?? [])).filter(({ mac }) => /[1-9a-f]/.test(mac));
  const interfaces = links.sort((one, other) => one.index - other.index);
  return { interfaces, interfaceCount: interfaces.length };
}

function linkFacts(machine: Machine, name: string, addresses: readonly string[]): Link {
  const file = (path: string) => machine.text(`/sys/class/net/${name}/${path}`);
  // Unreadable while the link is administratively down.
  const carrier = file('carrier') === '1';
  return {
    index: wholeOf(file('ifindex')),
    name,
    flags: flagsOf(wholeOf(file('flags')), carrier),
    mtu: wholeOf(file('mtu')),
    mac: (file('address') ?? '').toLowerCase(),
    addresses: [...addresses],
    carrier,
    // -1 without a link, and from drivers that do not know.
    speedMbps: carrier ? wholeOf(file('speed')) : 0,
    driver: machine.linkName(`/sys/class/net/${name}/device/driver`) ?? '',
  };
}

function flagsOf(bits: number, carrier: boolean): string {
  const names = FLAGS.filter(([bit]) => bits & bit).map(([, name]) => name);
  return (carrier && bits & 1 ? [...names, 'running'] : names).join('|');
}

/** A decimal or 0x number that is not negative; else 0. */
function wholeOf(text: string | undefined): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

const NOT_GLOBAL = new BlockList();
NOT_GLOBAL.addSubnet('127.0.0.0', 8);
NOT_GLOBAL.addSubnet('169.254.0.0', 16);
NOT_GLOBAL.addSubnet('224.0.0.0', 4);
NOT_GLOBAL.addAddress('0.0.0.0');
NOT_GLOBAL.addAddress('255.255.255.255');
NOT_GLOBAL.addSubnet('::', 127, 'ipv6');
NOT_GLOBAL.addSubnet('fe80::', 10, 'ipv6');
NOT_GLOBAL.addSubnet('ff00::', 8, 'ipv6');

/**
 * The addresses under which the machine can be reached: global unicast, with unique local ones, without prefix length. Those of the
 * link with `mac` come first.
 */
export function reachableAddresses(machine: Machine, mac?: string): readonly string[] {
  const links = Object.entries(machine.addresses());
  const isFirst = ([name]: [string, unknown]) => mac !== undefined && machine.text(`/sys/class/net/${name}/address`) === mac;
  const ordered = [...links.filter(isFirst), ...links.filter((link) => !isFirst(link))];
  const plain = ordered.flatMap(([, addresses]) => addresses.map((address) => address.replace(/\/\d+$/, '')));
  return [...new Set(plain)].filter((address) => !NOT_GLOBAL.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'));
}
