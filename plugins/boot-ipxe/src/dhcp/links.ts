import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, type Service, type Sidero } from '@sidero/core';
import * as z from 'zod';
import { failure } from '../errors.ts';
import { fullReply, type FullServer } from './full.ts';
import { lackOf, readNeighbours, subnetsOf } from './interfaces.ts';
import { broadcastOf, contains, fromBits, type Subnet, toBits } from './ipv4.ts';
import { LeaseFile } from './lease-file.ts';
import { DHCP_MESSAGE, messageTypeOf } from './packet.ts';
import { AddressPool } from './pool.ts';
import { proxyReply } from './proxy.ts';
import { type DhcpLink, type DhcpPorts, dhcpService } from './service.ts';

const interfaceName = z.string().min(1).max(15).describe('name of a network interface: DHCP answers nowhere else');

/** What DHCP does on one interface. */
export const dhcpOptions = z.discriminatedUnion('mode', [
  z.strictObject({
    mode: z.literal('proxy').describe('tells what to boot, beside a DHCP server that gives addresses'),
    interface: interfaceName,
  }),
  z.strictObject({
    mode: z.literal('full').describe('gives addresses, too; for a network that has no other DHCP server'),
    interface: interfaceName,
    range: z.tuple([z.ipv4(), z.ipv4()]).describe('first and last address to give, of the subnet of the interface'),
    router: z.ipv4().optional().describe('default route of the machines; none without it'),
    dns: z.array(z.ipv4()).default([]).describe('name servers of the machines'),
    leaseSeconds: z.int().min(60).max(31_536_000).default(3600).describe('how long an address is given for'),
    authoritative: z.boolean().default(false).describe('refuse wishes for addresses of other networks at once; only where no other DHCP server is'),
  }),
]);

export type DhcpOptionsOfInterface = z.output<typeof dhcpOptions>;
type FullOptions = Extract<DhcpOptionsOfInterface, { mode: 'full' }>;

/** The services for the interfaces named; none named, none running. Addresses are given by the leader only. */
export function dhcpServices(sidero: Sidero, interfaces: readonly DhcpOptionsOfInterface[], ports: DhcpPorts): Service[] {
  const shared = { ports, subnetsOf };
  const proxies = interfaces.filter(({ mode }) => mode === 'proxy').map((given) => proxyLink(sidero, given.interface, ports));
  const full = interfaces.filter((given) => given.mode === 'full');
  const services: Service[] = [];
  if (proxies.length > 0) services.push(dhcpService(sidero, { ...shared, name: 'dhcp-proxy', where: 'every', links: proxies }));
  if (full.length > 0) {
    const leases = lateLeases(sidero, join(sidero.site.dataDir, 'dhcp-leases.json'));
    const links = full.map((given) => fullLink(sidero, given, { ports, leases }));
    services.push(dhcpService(sidero, { ...shared, name: 'dhcp', where: 'leader', links, begin: leases.open }));
  }
  return services;
}

function proxyLink({ site }: Sidero, name: string, ports: DhcpPorts): DhcpLink {
  return {
    interface: name,
    ports: [ports.server, ports.bootService],
    open(subnets) {
      const subnet = firstOf(name, subnets);
      const us = { address: subnet.address, authority: site.authority };
      return { subnet, responder: { answer: (request, via) => ({ reply: proxyReply(request, us, via.isBootService), log: {} }) } };
    },
  };
}

function fullLink(sidero: Sidero, given: FullOptions, shared: { readonly ports: DhcpPorts; readonly leases: LateLeases }): DhcpLink {
  const { log, metrics, site } = sidero;
  const exhausted = metrics.counter('sidero_dhcp_exhausted_total', 'Requests for an address when all were taken.', ['interface']);
  const taken = metrics.gauge('sidero_dhcp_addresses_taken', 'Addresses given or offered.', ['interface']);
  return {
    interface: given.interface,
    ports: [shared.ports.server],
    open(subnets) {
      const subnet = subnetOfRange(given, subnets);
      let neighbours: ReadonlyMap<string, string> = new Map();
      const server = fullServer(given, { subnet, authority: site.authority, leases: shared.leases.file(), neighbours: () => neighbours });
      const answer: ReturnType<DhcpLink['open']>['responder']['answer'] = async (request) => {
        if (messageTypeOf(request) === DHCP_MESSAGE.discover) neighbours = await readNeighbours();
        const answered = fullReply(request, server);
        // What is promised must be known after a restart (RFC 2131, section 3.1).
        if (answered.changed) await shared.leases.file().save();
        taken(server.pool.taken, { interface: given.interface });
        if (answered.reply) return { reply: answered.reply, log: { lease: answered.lease?.address } };
        if (answered.isExhausted) {
          exhausted({ interface: given.interface });
          log.error(
            { interface: given.interface, range: given.range, size: server.pool.size },
            'no DHCP address is free: make "range" larger or "leaseSeconds" shorter',
          );
        }
        return { reply: undefined, log: { reason: answered.reason } };
      };
      return { subnet, responder: { answer } };
    },
  };
}

function fullServer(
  given: FullOptions,
  at: { readonly subnet: Subnet; readonly authority: string; readonly leases: LeaseFile; readonly neighbours: () => ReadonlyMap<string, string> },
): FullServer {
  const { range, router, dns, leaseSeconds, authoritative } = given;
  const excluded = [at.subnet.address, ...(router ? [router] : []), ...dns];
  const pool = new AddressPool(at.leases.book(given.interface), {
    subnet: at.subnet,
    range,
    leaseSeconds,
    excluded,
    neighbours: at.neighbours,
    nowMs: Date.now,
  });
  return { pool, subnet: at.subnet, authority: at.authority, router, dns, leaseSeconds, isAuthoritative: authoritative };
}

function firstOf(name: string, subnets: readonly Subnet[]): Subnet {
  const [first] = subnets;
  if (!first) throw failure('SIDERO_DHCP_INTERFACE_MISSING', { interface: name, ...lackOf(name) });
  return first;
}

function subnetOfRange({ interface: name, range }: FullOptions, subnets: readonly Subnet[]): Subnet {
  const first = firstOf(name, subnets);
  if (toBits(range[0]) > toBits(range[1]))
    throw failure('SIDERO_DHCP_RANGE_INVALID', { interface: name, problem: `${range[0]} comes after ${range[1]}` });
  const subnet = subnets.find((one) => range.every((address) => contains(one, address)));
  if (subnet) return subnet;
  const low = fromBits((toBits(first.address) & toBits(first.netmask)) >>> 0);
  throw failure('SIDERO_DHCP_RANGE_INVALID', { interface: name, problem: `${range.join(' to ')} is not within ${low} to ${broadcastOf(first)}` });
}

interface LateLeases {
  open(): Promise<void>;
  /** Only after `open`. */
  file(): LeaseFile;
}

// A file that cannot be read is put aside, not overwritten; machines keep their addresses by asking for them.
function lateLeases({ log }: Sidero, path: string): LateLeases {
  let file: LeaseFile | undefined;
  return {
    async open() {
      try {
        file = await LeaseFile.open(path);
      } catch (error) {
        const aside = `${path}.unreadable`;
        log.error({ file: path, aside }, messageOf(error));
        await rename(path, aside);
        file = LeaseFile.empty(path);
      }
    },
    file() {
      if (!file) throw new TypeError('leases are used before they are open');
      return file;
    },
  };
}
