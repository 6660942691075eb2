import { existsSync } from 'node:fs';
import { EventKind, SecretKind, ServerBindingKind } from '@sidero/core';
import { aBinding, createWithStatus } from '@sidero/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TunnelNode, tunnelNode } from './tunnel-node.ts';
import { type TunnelSite, tunnelSite } from './tunnel-site.ts';

const isPossible = process.getuid?.() === 0 && ['/usr/bin/wireguard-go', '/usr/bin/wg', '/dev/net/tun'].every((file) => existsSync(file));
const uuidOf = (index: number) => `6b121f82-24a8-4611-9d23-${String(index).padStart(12, '0')}`;

describe.skipIf(!isPossible)('WireGuard in user space', () => {
  let site: TunnelSite;
  let node: TunnelNode;

  beforeAll(async () => {
    site = await tunnelSite({ tunnel: 'user-space' });
    for (const index of [1, 2, 3]) {
      await createWithStatus(site.resources, aBinding({ metadata: { name: uuidOf(index) } }));
    }
    node = await tunnelNode(site);
  });
  afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
    await site?.[Symbol.asyncDispose]();
  });

  const peers = async () => (await site.server.run(['wg', 'show', site.device, 'peers'])).trim().split('\n').filter(Boolean);

  test('a machine that was answered is in the tunnel: its first packet gets through', async () => {
    await node.join(uuidOf(1));
    expect(await peers()).toContain(node.publicKey);
    await node.ping();
    const link = await site.server.run(['ip', '-d', 'address', 'show', 'dev', site.device]);
    expect(link).toContain('mtu 1280');
    expect(link).toMatch(new RegExp(`inet6 ${node.serverAddress}/64 `));
  });

  test('a new key takes the place of the one before', async () => {
    const before = node.publicKey;
    const { address } = node;
    await node.join(uuidOf(1));
    expect(node.address).toBe(address);
    await node.ping();
    expect(await peers()).toEqual([node.publicKey]);
    expect(node.publicKey).not.toBe(before);
  });

  test('a stranger on the device is put out', async () => {
    const [stranger] = await node.keys();
    await site.server.run(['wg', 'set', site.device, 'peer', stranger, 'allowed-ips', `${node.address}/128`]);
    await expect.poll(peers).toEqual([node.publicKey]);
    await node.ping();
  });

  /** What is written down of the machine's tunnel. */
  const noted = async (what: 'endpoint' | 'link') => {
    const binding = await site.resources.get(ServerBindingKind, { name: uuidOf(1) }, { live: true });
    return binding?.metadata.annotations?.[`metal.sidero.dev/siderolink-${what}`];
  };

  test('where a machine is is written down, and since when it is heard', async () => {
    await expect.poll(() => noted('endpoint')).toBe(`10.99.0.2:${node.port}`);
    await expect.poll(() => noted('link')).toMatch(/^up \d{4}-/);
  });

  test('wireguard-go that is killed is back with all its peers, and speaks first', async () => {
    const pid = await site.server.run(['sh', '-c', `ps -eo pid,args | awk '/[w]ireguard-go -f ${site.device}/ { print $1 }'`]);
    process.kill(Number(pid.trim()), 'SIGKILL');
    const killedMs = performance.now();
    await expect.poll(async () => (await peers().catch(() => [])).join(), { interval: 20 }).toBe(node.publicKey);
    const backMs = performance.now() - killedMs;
    await expect.poll(async () => site.server.run(['wg', 'show', site.device, 'latest-handshakes']), { interval: 50 }).not.toMatch(/\t0\n/);
    const handshakeMs = performance.now() - killedMs;
    // 0.2 s and 0.3 s on an idle host; WireGuard's own timers take 15 s and more.
    expect([backMs < 8000, handshakeMs < 10_000]).toEqual([true, true]);
    expect(await site.metrics()).toContain('sidero_siderolink_restarts_total{cause="device"} 1');
    await node.ping();
    const told = async () => {
      const events = await site.resources.list(EventKind, { namespace: 'default' }, { live: true });
      return events.filter(({ reason }) => reason === 'SideroLink Tunnel').map(({ type, message }) => `${type}: ${message}`);
    };
    // Nothing waits for Events.
    await expect
      .poll(told)
      .toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^Warning: The tunnel is lost, and made anew: wireguard-go/),
          'Normal: The tunnel is up (user-space).',
        ]),
      );
  });

  test('after a crash of ours machines are back without a packet of theirs', async () => {
    await site.kill();
    await site.untilUpAgain(site.start);
    await expect.poll(peers).toEqual([node.publicKey]);
    await expect.poll(async () => site.server.run(['wg', 'show', site.device, 'latest-handshakes']), { interval: 50 }).not.toMatch(/\t0\n/);
    await node.ping();
    // The keepalive that made us speak first is off again.
    await expect.poll(() => site.server.run(['wg', 'show', site.device, 'persistent-keepalive'])).toMatch(/\toff\n/);
  });

  test('another Secret, as a move brings it, makes another tunnel, in which machines get other addresses', async () => {
    const twice = (text: string) => Buffer.from(text).toString('base64');
    const [id, key] = ['AKfdafTbmPeEqjtDc3OPGK9FriGO7CCBBIOZG4RjgmY=', '0M9lxAwrpWHCs8MnmZGtC/Vc+FRPS9S40wnHSM0CwG8='] as const;
    await site.untilUpAgain(() =>
      site.resources.change(SecretKind, { namespace: 'default', name: 'siderolink' }, (draft) => {
        draft.data = { 'installation-id': twice(id), 'private-key': twice(key) };
      }),
    );
    expect(await site.server.run(['wg', 'show', site.device, 'public-key'])).toBe('ze3mghJ7ABkWOhrfQukVRjEvMIHvPSF3E1W1VzApD1U=\n');
    expect(await peers()).toEqual([]);
    await node.join(uuidOf(1));
    expect([node.serverAddress, node.address.split('::')[0]!.split(':').slice(0, 4).join(':')]).toEqual([
      'fdae:2859:5bb1:7a03::1',
      'fdae:2859:5bb1:7a03',
    ]);
    await node.ping();
  });

  test('a machine whose ServerBinding is gone is out', async () => {
    await site.resources.remove(ServerBindingKind, { name: uuidOf(1) });
    await expect.poll(peers).toEqual([]);
    await expect(node.ping(2)).rejects.toThrow();
  });

  test('a server that is allocated again has its place written down again, though nothing about it changed', async () => {
    await createWithStatus(site.resources, aBinding({ metadata: { name: uuidOf(1) } }));
    await node.join(uuidOf(1));
    await node.ping();
    await expect.poll(() => noted('endpoint')).toBe(`10.99.0.2:${node.port}`);
    await expect.poll(() => noted('link')).toMatch(/^up \d{4}-/);
  });

  test('a stop takes the interface away', async () => {
    await site.stop();
    await expect(site.server.run(['ip', 'link', 'show', 'dev', site.device])).rejects.toThrow(/does not exist/);
  });
});
