import { isIPv6 } from 'node:net';
import { commandsFor, type DhcpVariables, type Lease, parseLease } from './lease.ts';
import { reachableAddresses } from './links.ts';
import { type Machine, StageFailure } from './machine.ts';

const GIVE_UP_MS = 5 * 60_000;
const LOOK_AGAIN_MS = 250;
/** How long the link we booted from may be without a lease when another one has it. */
const PREFERRED_GRACE_MS = 15_000;
const ETHERNET = '1';

/** What the network is brought up for. */
export interface NetworkWish {
  /** MAC of the link that booted us: its lease is waited for, and its routes win. */
  readonly mac: string | undefined;
  /** Host of the management plane; over IPv6 an address the kernel made itself will do. */
  readonly host: string;
}

interface Link {
  readonly name: string;
  readonly isPreferred: boolean;
  lease: Lease | undefined;
}

/**
 * DHCP on every Ethernet link at once, renewed until the signal aborts. Resolves when the machine can reach out; links that appear or
 * get their lease later are configured all the same.
 *
 * @throws StageFailure "network" after 5 min
 */
export async function bringUpNetwork(machine: Machine, wish: NetworkWish, signal: AbortSignal): Promise<void> {
  const links = new Map<string, Link>();
  const startedAt = machine.now();
  let firstLeaseAt: number | undefined;
  for (;;) {
    for (const name of ethernetLinks(machine)) {
      if (!links.has(name)) links.set(name, await startDhcp(machine, { name, mac: wish.mac }, signal));
    }
    const all = [...links.values()];
    if (all.some(({ lease }) => lease)) firstLeaseAt ??= machine.now();
    const preferred = all.find(({ isPreferred }) => isPreferred);
    if (preferred?.lease) return;
    if (firstLeaseAt !== undefined && (!preferred || machine.now() - firstLeaseAt > PREFERRED_GRACE_MS)) return;
    if (isIPv6(wish.host) && reachableAddresses(machine).some((address) => isIPv6(address))) return;
    if (machine.now() - startedAt > GIVE_UP_MS) throw new StageFailure('network', noAnswer(machine, all));
    await machine.pause(LOOK_AGAIN_MS, signal);
  }
}

function ethernetLinks(machine: Machine): readonly string[] {
  return machine.list('/sys/class/net').filter((name) => {
    const folder = `/sys/class/net/${name}`;
    return machine.text(`${folder}/type`) === ETHERNET && machine.list(`${folder}/device`).length > 0;
  });
}

async function startDhcp(machine: Machine, given: { name: string; mac: string | undefined }, signal: AbortSignal): Promise<Link> {
  const { name } = given;
  const isPreferred = given.mac !== undefined && machine.text(`/sys/class/net/${name}/address`)?.toLowerCase() === given.mac;
  const link: Link = { name, isPreferred, lease: undefined };
  await machine.run('ip', ['link', 'set', 'dev', name, 'up']);
  let variables: Record<string, string> = {};
  const onLine = (line: string) => {
    const [, key, value = ''] = /^sidero:(\w+)=(.*)$/.exec(line) ?? [];
    if (key === undefined) return;
    if (key !== 'event') {
      variables[key] = value;
      return;
    }
    // The event ends the list of its variables.
    const told = variables;
    variables = {};
    void applyEvent(machine, link, { event: value, variables: told });
  };
  // Quick at first, because a link that has just come up loses what is sent; then once a minute in all for as long as it takes.
  const args = ['-f', '-i', name, '-s', '/etc/udhcpc.script', '-t', '10', '-T', '1', '-A', '5', '-O', 'staticroutes', '-O', 'mtu', '-O', 'hostname'];
  machine.keepRunning({ command: 'udhcpc', args, onLine }, signal);
  return link;
}

async function applyEvent(machine: Machine, link: Link, told: { event: string; variables: DhcpVariables }): Promise<void> {
  if (told.event !== 'bound' && told.event !== 'renew') return;
  const lease = parseLease(told.variables);
  // A renewal that changes nothing must not cut the connections there are.
  if (!lease || JSON.stringify(lease) === JSON.stringify(link.lease)) return;
  for (const args of commandsFor(link.name, lease, link.isPreferred ? 100 : 200)) {
    const { code, output } = await machine.run('ip', args);
    if (code !== 0) machine.say(`${link.name}: ip ${args.join(' ')}: ${output}`, 'error');
  }
  if (lease.hostname) machine.write('/proc/sys/kernel/hostname', lease.hostname);
  if (lease.nameServers.length > 0) machine.write('/etc/resolv.conf', lease.nameServers.map((server) => `nameserver ${server}\n`).join(''));
  machine.say(`${link.name}: ${lease.address}/${lease.prefixLength} by DHCP from ${told.variables['serverid'] || 'an unnamed server'}`);
  link.lease = lease;
}

function noAnswer(machine: Machine, links: readonly Link[]): string {
  if (links.length === 0) return 'there is no network interface: none is installed, or its driver is not in this image';
  const states = links.map(({ name }) => {
    const mac = machine.text(`/sys/class/net/${name}/address`) ?? '';
    return `${name} (${mac}, ${machine.text(`/sys/class/net/${name}/carrier`) === '1' ? 'link up' : 'no link'})`;
  });
  return `no DHCP answer in 5 min on ${states.join(', ')}`;
}
