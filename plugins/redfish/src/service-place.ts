import { isIPv6 } from 'node:net';
import type { Server } from '@sidero/core';

/** Where a Redfish service is. */
export interface ServicePlace {
  /** `https://10.0.0.7`, as URLs write it. */
  readonly origin: string;
  /** `10.0.0.7:443`: the device that errors name. */
  readonly device: string;
}

type Bmc = NonNullable<NonNullable<Server['spec']>['bmc']>;

const IPMI_PORT = 623;
const DEFAULT_PORT: Readonly<Record<string, number>> = { 'https:': 443, 'http:': 80 };

/**
 * Where the Redfish service of a BMC is, or what is wrong with `endpoint`. It is a host, or an `https://` or `http://` URL. A port in the URL
 * wins over `port`; 0 and 623, which IPMI has and the agent writes, mean the usual one of HTTPS.
 */
export function placeOf({ endpoint, port = 0 }: Pick<Bmc, 'endpoint' | 'port'>): ServicePlace | { readonly problem: string } {
  const url = URL.parse(endpoint.includes('://') ? endpoint : `https://${isIPv6(endpoint) ? `[${endpoint}]` : endpoint}`);
  const usual = DEFAULT_PORT[url?.protocol ?? ''];
  // The endpoint itself is not told: it may hold a login.
  if (!url || !usual || url.hostname === '' || url.username || url.password || url.pathname !== '/' || url.search || url.hash) {
    return { problem: 'spec.bmc.endpoint is neither a host nor a URL of scheme, host and port only' };
  }
  if (port > 65_535) return { problem: `spec.bmc.port is ${port}, not a port` };
  const at = Number(url.port) || (port === 0 || port === IPMI_PORT ? usual : port);
  url.port = String(at);
  return { origin: url.origin, device: `${url.hostname}:${at}` };
}

/**
 * The path of a link that a service gave, in its own origin.
 * @returns undefined for a link to anywhere else: the login must not go there
 */
export function pathWithin(origin: string, link: string): string | undefined {
  const url = URL.parse(link, origin);
  return url?.origin === origin && !url.username && !url.password ? `${url.pathname}${url.search}` : undefined;
}

/** The path in a Location header. BMCs name themselves there as they like, so its host is not looked at: it is asked of the service itself. */
export function pathInLocation(origin: string, location: string): string | undefined {
  const url = URL.parse(location, origin);
  return url && /^https?:$/.test(url.protocol) ? `${url.pathname}${url.search}` : undefined;
}
