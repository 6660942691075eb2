import type { Child } from '@sidero/testing/qemu';
import { SERVER, type TunnelSite } from './tunnel-site.ts';

/** A machine's end of the tunnel, as Talos sets it up, without its keepalives. */
export interface TunnelNode extends AsyncDisposable {
  readonly publicKey: string;
  /** In the tunnel. */
  readonly address: string;
  readonly serverAddress: string;
  /** UDP port of its WireGuard. */
  readonly port: number;
  /** Provision with a new key, then WireGuard with the answer. */
  join(uuid: string): Promise<void>;
  /** A new pair: public, private. */
  keys(): Promise<readonly [publicKey: string, privateKey: string]>;
  /** One packet there and back. @throws when it does not come back in time, default 8 s */
  ping(waitSeconds?: number): Promise<void>;
}

/** Starts wireguard-go in the namespace of the machine. */
export async function tunnelNode(site: TunnelSite): Promise<TunnelNode> {
  const { node } = site;
  const device = `nd${process.pid}`;
  const port = 51_900;
  const child: Child = await node.start(['wireguard-go', '-f', device], { name: 'wireguard-go', env: { LOG_LEVEL: 'error' } });
  const keys = async (): Promise<readonly [string, string]> => {
    const privateKey = (await node.run(['wg', 'genkey'])).trim();
    return [(await node.run(['wg', 'pubkey'], privateKey)).trim(), privateKey];
  };
  const told = { publicKey: '', address: '', serverAddress: '' };
  const join = async (uuid: string): Promise<void> => {
    const [publicKey, privateKey] = await keys();
    const answer = await site.provision({ nodeUuid: uuid, nodePublicKey: publicKey });
    Object.assign(told, { publicKey, address: answer.nodeAddressPrefix.replace('/64', ''), serverAddress: answer.serverAddress });
    // wg cannot open the socket that Node gives as stdin; a pipe it can.
    await node.run(['sh', '-c', `cat | wg set ${device} listen-port ${port} private-key /dev/stdin`], privateKey);
    const peer = ['peer', answer.serverPublicKey, 'allowed-ips', `${answer.serverAddress}/128`, 'endpoint', answer.serverEndpoint[0]!];
    for (const old of (await node.run(['wg', 'show', device, 'peers'])).trim().split('\n').filter(Boolean)) {
      if (old !== answer.serverPublicKey) await node.run(['wg', 'set', device, 'peer', old, 'remove']);
    }
    await node.run(['wg', 'set', device, ...peer]);
    await node.run(['ip', '-6', 'address', 'flush', 'dev', device, 'scope', 'global']);
    await node.run(['ip', 'address', 'replace', answer.nodeAddressPrefix, 'dev', device, 'nodad']);
    await node.run(['ip', 'link', 'set', 'dev', device, 'mtu', '1280', 'up']);
    if (!answer.serverEndpoint[0]!.startsWith(SERVER)) throw new Error(`the server is at ${answer.serverEndpoint.join()}`);
  };
  return {
    get publicKey() {
      return told.publicKey;
    },
    get address() {
      return told.address;
    },
    get serverAddress() {
      return told.serverAddress;
    },
    port,
    join,
    keys,
    ping: async (waitSeconds = 8) => void (await node.run(['busybox', 'ping6', '-q', '-c', '1', '-W', String(waitSeconds), told.serverAddress])),
    [Symbol.asyncDispose]: () => child.stop(),
  };
}
