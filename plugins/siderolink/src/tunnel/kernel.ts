import { networkInterfaces } from 'node:os';
import { failure } from '../errors.ts';
import { withoutPrefix } from '../installation/network.ts';
import { run } from './run-program.ts';
import { bringUp, deleteInterface, kindOfInterface, refuseForeign } from './interface.ts';
import type { OpenTunnel, PeerChange, PeerState, Tunnel, TunnelPlan } from './tunnel.ts';

/** How often it is looked whether the device is still there. */
const LOOK_MS = 1000;
/** Peers named on one command line; their public keys and addresses are no secrets. */
const PEERS_A_COMMAND = 200;

/** The kernel's WireGuard. A device that an earlier process of ours left is taken over, with the sessions it has. */
export const openKernelTunnel: OpenTunnel = async (plan) => {
  const { interface: name } = plan;
  if ((await run(['wg', '--version'])).code !== 0)
    throw unavailable(name, 'wg is not installed', 'install wireguard-tools (Debian package of that name)');
  const kind = await kindOfInterface(name);
  refuseForeign(name, kind);
  if (kind === 'tun') await deleteInterface(name);
  if (kind !== 'wireguard') await create(name);
  try {
    await setKey(plan);
    await bringUp(plan);
  } catch (thrown) {
    if (kind !== 'wireguard') await deleteInterface(name);
    throw thrown;
  }
  return tunnelOf(plan);
};

async function create(name: string): Promise<void> {
  const { code, problem } = await run(['ip', 'link', 'add', 'dev', name, 'type', 'wireguard']);
  if (code === 0) return;
  const next = "load the module wireguard and run with the capability NET_ADMIN, or leave the choice to tunnel: 'auto'";
  throw unavailable(name, `the kernel makes no WireGuard device (${problem})`, next);
}

function tunnelOf({ interface: name }: TunnelPlan): Tunnel {
  const { promise: lost, resolve } = Promise.withResolvers<string>();
  const looking = setInterval(() => {
    if (!networkInterfaces()[name]) resolve(`the interface ${name} is gone`);
  }, LOOK_MS);
  return {
    kind: 'kernel',
    peers: async () => peersInDump(await wg(['show', name, 'dump'])),
    async apply(changes) {
      for (let from = 0; from < changes.length; from += PEERS_A_COMMAND)
        await wg(['set', name, ...changes.slice(from, from + PEERS_A_COMMAND).flatMap(argumentsOf)]);
    },
    lost,
    async [Symbol.asyncDispose]() {
      clearInterval(looking);
      await deleteInterface(name);
    },
  };
}

/** A change as `wg set` takes it. */
export function argumentsOf(change: PeerChange): readonly string[] {
  const peer = ['peer', change.publicKey];
  if ('remove' in change) return [...peer, 'remove'];
  return [
    ...peer,
    'allowed-ips',
    `${change.address}/${change.address.includes(':') ? 128 : 32}`,
    ...(change.endpoint ? ['endpoint', change.endpoint] : []),
    ...(change.keepaliveSeconds === undefined ? [] : ['persistent-keepalive', String(change.keepaliveSeconds)]),
  ];
}

/** The peers in the output of `wg show DEVICE dump`; its first line is the device's own, with the private key. */
export function peersInDump(output: string): readonly PeerState[] {
  const [, ...lines] = output.trim().split('\n');
  return lines.map((line) => {
    const [publicKey = '', , endpoint = '(none)', allowed = '(none)', handshake = '0'] = line.split('\t');
    const addresses = allowed === '(none)' ? [] : allowed.split(',');
    return {
      publicKey,
      addresses: addresses.map((address) => (/\/(32|128)$/.test(address) ? withoutPrefix(address) : address)),
      ...(endpoint !== '(none)' && { endpoint }),
      ...(handshake !== '0' && { handshakeAt: new Date(Number(handshake) * 1000) }),
    };
  });
}

// The key goes in by a pipe, which `wg` can open; what Node gives a child as stdin is a socket.
async function setKey({ interface: name, port, privateKey }: TunnelPlan): Promise<void> {
  const command = ['sh', '-c', 'cat | wg set "$0" listen-port "$1" private-key /dev/stdin', name, String(port)] as const;
  const { code, problem } = await run(command, `${privateKey}\n`);
  if (code !== 0) throw failure('SIDERO_SIDEROLINK_TUNNEL_FAILED', { what: `wg set ${name}`, problem });
}

async function wg(args: readonly string[]): Promise<string> {
  const { code, output, problem } = await run(['wg', ...args]);
  if (code === 0) return output;
  throw failure('SIDERO_SIDEROLINK_TUNNEL_FAILED', { what: `wg ${args.slice(0, 2).join(' ')}`, problem });
}

function unavailable(name: string, why: string, next: string): Error {
  return failure('SIDERO_SIDEROLINK_TUNNEL_UNAVAILABLE', { interface: name, why, next });
}
