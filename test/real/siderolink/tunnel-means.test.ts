import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventKind, ServerBindingKind } from '@sidero/core';
import { aBinding, createWithStatus, FIXTURE_UUID } from '@sidero/testing';
import { describe, expect, test } from 'vitest';
import { holdName } from '../../../plugins/siderolink/src/tunnel/hold-name.ts';
import { tunnelNode } from './tunnel-node.ts';
import { tunnelSite } from './tunnel-site.ts';

const isPossible = process.getuid?.() === 0 && ['/usr/bin/wireguard-go', '/usr/bin/wg', '/dev/net/tun'].every((file) => existsSync(file));
/** Root, but not over networks. */
const WITHOUT_RIGHTS = ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin', '--'] as const;

describe.skipIf(!isPossible)('without the means for a tunnel', () => {
  test('the management plane goes on, says why and what to do, and tells machines to ask again', async () => {
    await using site = await tunnelSite({ tunnel: 'auto', wrapper: WITHOUT_RIGHTS });
    await expect.poll(site.log).toMatch(/no SideroLink: machines boot/);
    const [line] = site
      .log()
      .split('\n')
      .filter((text) => text.includes('no SideroLink')) as [string];
    expect(line).toMatch(/the kernel makes no WireGuard device \(.+\), and .+/);
    expect(line).toMatch(/NET_ADMIN/);
    await createWithStatus(site.resources, aBinding());
    const publicKey = Buffer.alloc(32, 7).toString('base64');
    await expect(site.provision({ nodeUuid: FIXTURE_UUID, nodePublicKey: publicKey })).rejects.toThrow(
      /UNAVAILABLE.*its end of the tunnel is not in place/,
    );
    expect((await site.resources.get(ServerBindingKind, { name: FIXTURE_UUID }, { live: true }))?.spec?.siderolink).toBeUndefined();
    expect(await site.metrics()).toContain('sidero_siderolink_up 0');
    // `sidero why` tells it of every server that is bound.
    const told = async () => {
      const events = await site.resources.list(EventKind, { namespace: 'default' }, { live: true });
      return events.filter(({ reason }) => reason === 'SideroLink Tunnel');
    };
    const message = expect.stringMatching(/^There is no tunnel: .*NET_ADMIN/) as string;
    await expect.poll(told).toMatchObject([{ type: 'Warning', involvedObject: { kind: 'Secret', name: 'siderolink' }, message }]);
  });

  test('one that was demanded ends the process with the reason', async () => {
    const said: string[] = [];
    // It may serve for a moment before its tunnel is due.
    const life = async () => {
      await using site = await tunnelSite({ tunnel: 'user-space', wrapper: WITHOUT_RIGHTS, said });
      await site.ended();
    };
    await life().catch(() => undefined);
    expect(said.join('')).toMatch(/SIDERO_SIDEROLINK_TUNNEL_UNAVAILABLE/);
  });
});

describe.skipIf(!isPossible)('an interface that is not ours', () => {
  test('is left alone, and the reason is told', async () => {
    const said: string[] = [];
    const name = `tk${process.pid}`;
    // In the namespace of the management plane, before it starts, and looked at after its end.
    const script = `ip link add ${name} type veth peer name ${name}p; "$0" "$@"; ip link show dev ${name} >&2`;
    const life = async () => {
      await using site = await tunnelSite({ tunnel: 'user-space', interface: name, wrapper: ['sh', '-c', script], said });
      await site.ended();
    };
    await life().catch(() => undefined);
    expect(said.join('')).toMatch(
      /SIDERO_SIDEROLINK_INTERFACE_TAKEN: The network interface tk\d+ is there already, and is no WireGuard of ours \(veth\)/,
    );
  });

  test('a second management plane on one host is told that the first has it', async () => {
    const name = `tk${process.pid}`;
    const first = await holdName(name);
    await expect(holdName(name)).rejects.toMatchObject({
      code: 'SIDERO_SIDEROLINK_INTERFACE_TAKEN',
      details: { interface: name, kind: 'another process of Sidero on this host has it' },
    });
    await first[Symbol.asyncDispose]();
    await using next = await holdName(name);
    expect(next).toBeDefined();
  });
});

describe.skipIf(!isPossible)("the kernel's WireGuard, wireguard-go in its place", () => {
  test('is set up by ip and wg, lets machines in and out, and is deleted at the end', async () => {
    await using place = await kernelStandIn();
    await using site = await tunnelSite({ tunnel: 'kernel', path: place.path });
    await createWithStatus(site.resources, aBinding());
    await using node = await tunnelNode(site);
    await node.join(FIXTURE_UUID);
    await node.ping();
    const peers = () => site.server.run(['wg', 'show', site.device, 'peers']);
    expect(await peers()).toBe(`${node.publicKey}\n`);
    const before = node.publicKey;
    await node.join(FIXTURE_UUID);
    await node.ping();
    expect(await peers()).toBe(`${node.publicKey}\n`);
    expect(node.publicKey).not.toBe(before);
    await site.resources.remove(ServerBindingKind, { name: FIXTURE_UUID });
    await expect.poll(peers).toBe('');
    await site.stop();
    await expect(site.server.run(['ip', 'link', 'show', 'dev', site.device])).rejects.toThrow(/does not exist/);
  });
});

/** A PATH whose `ip` makes a WireGuard device where this kernel has none. */
async function kernelStandIn() {
  const dir = await mkdtemp(join(tmpdir(), 'wireguard-'));
  const file = join(dir, 'ip');
  await writeFile(
    file,
    '#!/bin/sh\ncase "$*" in "link add dev "*" type wireguard") exec wireguard-go "$4" >/dev/null 2>&1 ;; *) exec /usr/sbin/ip "$@" ;; esac\n',
  );
  await chmod(file, 0o755);
  return { path: `${dir}:${process.env['PATH'] ?? ''}`, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}
