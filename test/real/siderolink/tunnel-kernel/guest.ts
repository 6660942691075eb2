import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { openKernelTunnel } from '../../../../plugins/siderolink/src/tunnel/kernel.ts';
import type { Tunnel, TunnelPlan } from '../../../../plugins/siderolink/src/tunnel/tunnel.ts';

/** Runs inside the guest: our way to the kernel's WireGuard, and a machine's end of the tunnel made by hand. One line a fact. */
const SERVER = 'fdae:2859:5bb1:7a03::1';
const NODE = 'fdae:2859:5bb1:7a03::5';
const PATIENCE_MS = 60_000;
const plan: TunnelPlan = { interface: 'siderolink', port: 51_821, privateKey: aKey(), address: SERVER, prefixLength: 64 };
const { signal } = new AbortController();

function aKey(): string {
  return randomBytes(32).toString('base64');
}

function run(command: string, input?: string): string {
  return execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8', ...(input && { input }) }).trim();
}

function say(fact: string, value: unknown): void {
  process.stdout.write(`FACT ${fact} ${JSON.stringify(value)}\n`);
}

function machine(): string {
  const key = aKey();
  run('/usr/sbin/ip link add dev node type wireguard');
  run('cat | wg set node listen-port 51900 private-key /dev/stdin', key);
  const server = run('wg show siderolink public-key');
  run(`wg set node peer ${server} allowed-ips ${SERVER}/128 endpoint 127.0.0.1:51821 persistent-keepalive 1`);
  run('/usr/sbin/ip link set dev node mtu 1280 up');
  return run('wg show node public-key');
}

async function untilMet(tunnel: Tunnel): Promise<boolean> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    if ((await tunnel.peers()).some(({ handshakeAt, endpoint }) => handshakeAt && endpoint === '127.0.0.1:51900')) return true;
    await delay(50);
  }
  return false;
}

async function main(): Promise<void> {
  const first = await openKernelTunnel(plan, signal);
  say('kind', first.kind);
  say('link', run('/usr/sbin/ip -d link show dev siderolink').includes('wireguard'));
  say('mtu', run('cat /sys/class/net/siderolink/mtu'));
  say('address', run('/usr/sbin/ip -6 -o address show dev siderolink').includes(`${SERVER}/64`));
  say('port', run('wg show siderolink listen-port'));
  say('forwarding', run('cat /proc/sys/net/ipv6/conf/siderolink/forwarding'));
  const publicKey = machine();
  await first.apply([
    { publicKey, address: NODE },
    ...Array.from({ length: 450 }, (_, index) => ({ publicKey: aKey(), address: `${NODE}:${index.toString(16)}` })),
  ]);
  say('peers', (await first.peers()).length);
  say('met', await untilMet(first));
  // As after kill -9 of ours: the device is there, with whoever was in it.
  const second = await openKernelTunnel(plan, signal);
  const left = await second.peers();
  say('left', left.length);
  say(
    'still met',
    left.some(({ handshakeAt }) => handshakeAt),
  );
  await second.apply(left.filter((peer) => peer.publicKey !== publicKey).map((peer) => ({ publicKey: peer.publicKey, remove: true as const })));
  say(
    'after removal',
    (await second.peers()).map(({ addresses }) => addresses),
  );
  run('/usr/sbin/ip link delete dev siderolink');
  say('lost', await second.lost);
  const third = await openKernelTunnel(plan, signal);
  await third[Symbol.asyncDispose]();
  say('deleted', run('/usr/sbin/ip link show dev siderolink 2>&1 || true').includes('does not exist'));
}

main()
  .catch((thrown: unknown) => say('failed', String(thrown)))
  .finally(() => process.exit(0));
