import { writeFile } from 'node:fs/promises';
import { failure } from '../errors.ts';
import { run } from './run-program.ts';
import { MTU, type TunnelPlan } from './tunnel.ts';

/**
 * Packets that wait for wireguard-go. When this process is killed the kernel ends some connections of each machine in one moment: of those with
 * something unread by a single packet, and a machine that misses it waits for its answer until its own timers give up. The kernel's default is 500.
 */
const QUEUED_PACKETS = 16_384;

/** What kind of interface has the name: `wireguard`, `tun`, `bridge`, …; undefined: none has. */
export async function kindOfInterface(name: string): Promise<string | undefined> {
  const { code, output } = await run(['ip', '-j', '-d', 'link', 'show', 'dev', name]);
  if (code !== 0) return undefined;
  const [link] = JSON.parse(output) as { linkinfo?: { info_kind?: string } }[];
  return link?.linkinfo?.info_kind ?? 'physical';
}

/** Refuses what is no WireGuard. @throws SIDERO_SIDEROLINK_INTERFACE_TAKEN */
export function refuseForeign(name: string, kind: string | undefined): void {
  if (kind && kind !== 'wireguard' && kind !== 'tun') throw failure('SIDERO_SIDEROLINK_INTERFACE_TAKEN', { interface: name, kind });
}

/** Takes the interface away; absent is fine. */
export async function deleteInterface(name: string): Promise<void> {
  await run(['ip', 'link', 'delete', 'dev', name]);
}

/** Gives the interface its address, MTU and queue and brings it up; it forwards nothing. @throws SIDERO_SIDEROLINK_TUNNEL_FAILED */
export async function bringUp({ interface: name, address, prefixLength }: TunnelPlan): Promise<void> {
  await must(['ip', 'link', 'set', 'dev', name, 'mtu', String(MTU), 'txqueuelen', String(QUEUED_PACKETS)]);
  // A host without IPv6 has it inside the tunnel.
  await writeFile(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '0').catch(() => undefined);
  // No duplicate address detection: nobody else is on this link, and for its second the address could not be listened on.
  await must(['ip', 'address', 'replace', `${address}/${prefixLength}`, 'dev', name, ...(address.includes(':') ? ['nodad'] : [])]);
  await must(['ip', 'link', 'set', 'dev', name, 'up']);
  // Where /proc/sys cannot be written (a container), the namespace's own settings hold.
  for (const version of ['ipv4', 'ipv6']) await writeFile(`/proc/sys/net/${version}/conf/${name}/forwarding`, '0').catch(() => undefined);
}

async function must(command: readonly [string, ...string[]]): Promise<void> {
  const { code, problem } = await run(command);
  if (code !== 0) throw failure('SIDERO_SIDEROLINK_TUNNEL_FAILED', { what: command.join(' '), problem });
}
