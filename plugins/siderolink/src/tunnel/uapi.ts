import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '@sidero/core';
import { failure } from '../errors.ts';
import { keyFromHex, keyToHex } from '../installation/keys.ts';
import { withoutPrefix } from '../installation/network.ts';
import type { PeerChange, PeerState } from './tunnel.ts';

/** WireGuard's configuration protocol over a Unix socket: lines of `key=value`, an empty line at the end. */

const ATTEMPTS = 3;
const ATTEMPT_MS = 4000;
const BETWEEN_MS = 50;
/** Peers set in one call: what a slow processor does well within a time-out. */
const PEERS_A_CALL = 1000;

/** The lines that change the device itself. */
export function deviceLines({ privateKey, port }: { readonly privateKey: string; readonly port: number }): string {
  return `private_key=${keyToHex(privateKey)}\nlisten_port=${port}\n`;
}

/** The lines of one change. A peer that is set lets in its one address, and no other. */
export function peerLines(change: PeerChange): string {
  const key = `public_key=${keyToHex(change.publicKey)}\n`;
  if ('remove' in change) return `${key}remove=true\n`;
  const bits = change.address.includes(':') ? 128 : 32;
  const endpoint = change.endpoint ? `endpoint=${change.endpoint}\n` : '';
  const keepalive = change.keepaliveSeconds === undefined ? '' : `persistent_keepalive_interval=${change.keepaliveSeconds}\n`;
  return `${key}replace_allowed_ips=true\nallowed_ip=${change.address}/${bits}\n${endpoint}${keepalive}`;
}

/** The peers in the answer to `get=1`. */
export function peersIn(answer: string): readonly PeerState[] {
  const [, ...blocks] = `\n${answer}`.split('\npublic_key=');
  return blocks.map((block) => {
    const [hex = '', ...lines] = block.split('\n');
    const values = Map.groupBy(lines, (line) => line.split('=', 1)[0]!);
    const of = (key: string): string[] => (values.get(key) ?? []).map((line) => line.slice(key.length + 1));
    const [endpoint] = of('endpoint');
    const seconds = Number(of('last_handshake_time_sec')[0] ?? 0);
    return {
      publicKey: keyFromHex(hex.trim()),
      addresses: of('allowed_ip').map((address) => (/\/(32|128)$/.test(address) ? withoutPrefix(address) : address)),
      ...(endpoint && { endpoint }),
      ...(seconds > 0 && { handshakeAt: new Date(seconds * 1000 + Math.floor(Number(of('last_handshake_time_nsec')[0] ?? 0) / 1e6)) }),
    };
  });
}

/** Changes peers, the device as it is. @throws SIDERO_SIDEROLINK_TUNNEL_FAILED */
export async function setPeers(socket: string, changes: readonly PeerChange[]): Promise<void> {
  for (let from = 0; from < changes.length; from += PEERS_A_CALL)
    await callUapi(
      socket,
      `set=1\n${changes
        .slice(from, from + PEERS_A_CALL)
        .map(peerLines)
        .join('')}`,
    );
}

/** Asks, or sets; the same again when nothing comes, which changes nothing more. Gives the answer's lines. @throws SIDERO_SIDEROLINK_TUNNEL_FAILED */
export async function callUapi(socket: string, lines: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await callOnce(socket, lines);
    } catch (thrown) {
      if (attempt === ATTEMPTS) throw failure('SIDERO_SIDEROLINK_TUNNEL_FAILED', { what: socket, problem: messageOf(thrown) });
      await delay(BETWEEN_MS);
    }
  }
}

async function callOnce(path: string, lines: string): Promise<string> {
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(path).setEncoding('utf8').setTimeout(ATTEMPT_MS);
    let text = '';
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.endsWith('\n\n')) socket.destroy();
    });
    socket.once('timeout', () => socket.destroy(new Error(`no answer within ${ATTEMPT_MS} ms`)));
    socket.once('error', reject);
    socket.once('close', () => (text.endsWith('\n\n') ? resolve(text) : reject(new Error('it hung up'))));
    socket.write(`${lines}\n`);
  });
  const errno = /^errno=(-?\d+)$/m.exec(answer)?.[1];
  if (errno !== '0') throw new Error(`errno ${errno ?? 'missing'}`);
  return answer;
}
