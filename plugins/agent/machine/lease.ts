import { isIPv4 } from 'node:net';

/** What a DHCP server gave a link. */
export interface Lease {
  readonly address: string;
  readonly prefixLength: number;
  readonly routes: readonly Route[];
  readonly nameServers: readonly string[];
  readonly hostname: string | undefined;
  readonly mtu: number | undefined;
}

/** `gateway` is absent for what is reached on the link itself. */
export interface Route {
  readonly destination: string;
  readonly gateway: string | undefined;
}

/** The variables that udhcpc hands to its script, as `udhcpc.script` prints them: "sidero:ip=10.0.0.7". */
export type DhcpVariables = Readonly<Record<string, string>>;

/** Reads the variables; undefined when they hold no usable address. Malformed parts are left out. */
export function parseLease(variables: DhcpVariables): Lease | undefined {
  const { ip = '', mask = '', hostname = '', mtu = '' } = variables;
  if (!isIPv4(ip)) return undefined;
  const prefixLength = /^\d+$/.test(mask) && Number(mask) >= 1 && Number(mask) <= 32 ? Number(mask) : 24;
  return {
    address: ip,
    prefixLength,
    routes: routesOf(variables),
    nameServers: words(variables['dns']).filter((word) => isIPv4(word)),
    hostname: /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(hostname) ? hostname : undefined,
    // 576 is what every IPv4 link must carry; less is a mistake of the server.
    mtu: /^\d+$/.test(mtu) && Number(mtu) >= 576 && Number(mtu) <= 65_535 ? Number(mtu) : undefined,
  };
}

// Classless static routes (option 121) replace the router option (RFC 3442).
function routesOf(variables: DhcpVariables): Route[] {
  const pairs = words(variables['staticroutes']);
  const classless = pairs.flatMap((destination, index) => (index % 2 === 0 ? routeOf(destination, pairs[index + 1] ?? '') : []));
  if (classless.length > 0) return classless;
  return words(variables['router']).flatMap((router) => routeOf('0.0.0.0/0', router));
}

function routeOf(destination: string, gateway: string): Route[] {
  const [network = '', bits = '32'] = destination.split('/');
  if (!isIPv4(network) || !isIPv4(gateway) || !/^\d+$/.test(bits) || Number(bits) > 32) return [];
  return [{ destination: `${network}/${bits}`, gateway: gateway === '0.0.0.0' ? undefined : gateway }];
}

const words = (text: string | undefined) => (text ?? '').split(/\s+/).filter(Boolean);

/**
 * The `ip` commands that give a link its lease. `metric` orders links among each other: with several in one network, traffic leaves
 * by the lowest. Each may fail (a route that exists already) without harm to the next.
 */
export function commandsFor(link: string, lease: Lease, metric: number): readonly (readonly string[])[] {
  const routes = lease.routes.flatMap(({ destination, gateway }) => {
    const onLink = ['route', 'replace', destination, 'dev', link, 'metric', `${metric}`];
    if (!gateway) return [onLink];
    // A gateway outside the link's own network is reached through a route of its own (common with /32 leases).
    const toGateway = ['route', 'replace', `${gateway}/32`, 'dev', link, 'metric', `${metric}`];
    const via = ['route', 'replace', destination, 'via', gateway, 'dev', link, 'metric', `${metric}`];
    return lease.prefixLength === 32 ? [toGateway, via] : [via];
  });
  return [
    ...(lease.mtu ? [['link', 'set', 'dev', link, 'mtu', `${lease.mtu}`]] : []),
    ['-4', 'addr', 'flush', 'dev', link],
    ['addr', 'add', `${lease.address}/${lease.prefixLength}`, 'broadcast', '+', 'dev', link],
    ...routes,
  ];
}
