import type { ServerBinding } from '@sidero/core';
import { parseKey } from '../installation/keys.ts';
import { canonicalAddress, type LinkNetwork, withoutPrefix } from '../installation/network.ts';
import { CONNECTIONS_ANNOTATION } from './link-connections.ts';
import { LINK_ANNOTATION, type LinkState, linkStateOf } from './link-state.ts';

/** Annotation of a binding: where the machine's WireGuard was last, `host:port`. After a restart we speak first. */
export const ENDPOINT_ANNOTATION = 'metal.sidero.dev/siderolink-endpoint';

/** A machine that shall be in the tunnel. */
export interface WantedPeer {
  /** Name of the ServerBinding, and its uid: another allocation has another one. */
  readonly uuid: string;
  readonly binding: string;
  readonly publicKey: string;
  /** Without prefix length. */
  readonly address: string;
  readonly endpoint?: string;
  /** As CONNECTIONS_ANNOTATION has them. */
  readonly connections?: string;
  readonly link?: LinkState;
}

/** Who shall be in the tunnel, by key; and the bindings that cannot be. */
export interface WantedPeers {
  readonly peers: ReadonlyMap<string, WantedPeer>;
  readonly problems: readonly { readonly uuid: string; readonly problem: string }[];
}

/** One peer a binding. Of two with one key or one address the older has it: another machine never takes what one has. */
export function wantedPeers(bindings: readonly ServerBinding[], network: Pick<LinkNetwork, 'isMachine'>): WantedPeers {
  const peers = new Map<string, WantedPeer>();
  const owners = new Map<string, string>();
  const problems: { uuid: string; problem: string }[] = [];
  for (const binding of bindings.toSorted(byAge)) {
    const uuid = binding.metadata.name;
    const { address: given = '', publicKey: text = '' } = binding.spec?.siderolink ?? {};
    if (given === '' || text === '') continue;
    const parsed = parseKey(text);
    const address = canonicalAddress(withoutPrefix(given));
    const problem =
      'problem' in parsed
        ? `its key is none: ${parsed.problem}`
        : !address || !network.isMachine(address)
          ? `its address ${given} is none of this installation's`
          : takenBy(owners, [parsed.key, address]);
    if (problem !== undefined || 'problem' in parsed || !address) {
      problems.push({ uuid, problem: problem ?? '' });
      continue;
    }
    for (const owned of [parsed.key, address]) owners.set(owned, uuid);
    const { uid = '', annotations } = binding.metadata;
    const endpoint = annotations?.[ENDPOINT_ANNOTATION];
    const connections = annotations?.[CONNECTIONS_ANNOTATION];
    const link = linkStateOf(annotations?.[LINK_ANNOTATION]);
    const known = { ...(endpoint && { endpoint }), ...(connections && { connections }), ...(link && { link }) };
    peers.set(parsed.key, { uuid, binding: uid, publicKey: parsed.key, address, ...known });
  }
  return { peers, problems };
}

function takenBy(owners: ReadonlyMap<string, string>, [key, address]: readonly [string, string]): string | undefined {
  if (owners.has(key)) return `its key is that of ${owners.get(key)}`;
  return owners.has(address) ? `its address ${address} is that of ${owners.get(address)}` : undefined;
}

function byAge({ metadata: a }: ServerBinding, { metadata: b }: ServerBinding): number {
  const [one = '', other = ''] = [a.creationTimestamp, b.creationTimestamp];
  if (one !== other) return one < other ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}
