import type { Child } from './child.ts';
import type { Namespace } from './namespace.ts';

// Nothing from the host's own configuration, no DNS, no files outside, no other user (who has none to change to).
const ALONE = ['--no-daemon', '--log-facility=-', '--port=0', '--conf-file=/dev/null', '--pid-file=', '--interface=br0', '--bind-interfaces'];

/** Says on the link that there is IPv6 here, and nothing else: it leaves DHCP to whom the test is about. */
export function routerAdvertiser(space: Namespace): Promise<Child> {
  return started(space, {
    name: 'dnsmasq (router advertisements)',
    args: ['--enable-ra', '--ra-param=br0,10', '--dhcp-range=fd77::,ra-only', '--dhcp-leasefile=/dev/null'],
  });
}

/** An address server that knows nothing of network boot, as a site has one already. Leases 10.77.0.50 to 10.77.0.250. */
export function addressServer(host: Namespace): Promise<Child> {
  return started(host, {
    name: 'dnsmasq (addresses)',
    args: ['--dhcp-range=10.77.0.50,10.77.0.250,1h', '--dhcp-authoritative', '--log-dhcp', '--dhcp-leasefile=/dev/null'],
  });
}

async function started(space: Namespace, { name, args }: { name: string; args: readonly string[] }): Promise<Child> {
  const child = await space.start(['dnsmasq', ...ALONE, ...args], { name });
  await child.line(/started|DHCP, /, { timeoutMs: 10_000 });
  return child;
}
