import type { KubeEvent, ServerBinding } from '@sidero/core';
import { reachLeader } from '../commands/reach-leader.ts';
import { secondOf } from '../events/event-order.ts';
import { LINK_ANNOTATION, type LinkState, linkStateOf } from '../peers/link-state.ts';
import { PENDING_ANNOTATION } from '../peers/peer-keeper.ts';
import { ENDPOINT_ANNOTATION } from '../peers/wanted-peers.ts';
import { type Admitted, JOIN_ANNOTATION, JOINED_ANNOTATION, joinedOf } from '../provision/provision-claim.ts';
import { VERSION_ANNOTATION } from '../provision/provision.ts';

/** What can be found out of a bound server's SideroLink, wherever `sidero why` runs. */
export interface LinkFindings {
  readonly binding: ServerBinding;
  /** Where machines ask to join, and where they reach WireGuard: `host:port`. */
  readonly authority: string;
  readonly wireguard: string;
  /** The last Event of each that says that something is the matter. */
  readonly refused: KubeEvent | undefined;
  readonly troubles: readonly KubeEvent[];
  /** When the last line of each came, where lines are kept on this host; undefined: they are kept elsewhere. */
  readonly kept: { readonly log: Date | undefined; readonly events: Date | undefined } | undefined;
  /** Where they were looked for. */
  readonly dataDir: string;
  /** Host name, hence pod, of the replica that leads. */
  readonly leader: string | undefined;
  readonly namespace: string;
  when(time: Date): string;
}

const PROOFS: Readonly<Record<Admitted, string>> = {
  proven: 'with its token',
  open: 'without a token, for its ServerBinding is from before tokens',
  'own-argument': 'without a token, for its Environment has siderolink.api= of its own',
  unproven: 'without the proof that bootAuth: require would have asked for',
};

/** A line a fact, with what to do about it. */
export function explainLink(found: LinkFindings): readonly string[] {
  const isJoined = Boolean(found.binding.spec?.siderolink?.publicKey);
  return [
    ...found.troubles.map((event) => eventText(event, found)),
    isJoined ? joinedText(found) : neverText(found),
    ...(isJoined ? [linkText(found)] : []),
    ...(found.refused ? [`${eventText(found.refused, found)} If it is the machine itself, boot it from the network once.`] : []),
    ...(isJoined ? keptTexts(found) : []),
  ];
}

function neverText({ binding, authority }: LinkFindings): string {
  const isTold = binding.metadata.annotations?.[JOIN_ANNOTATION] === 'given';
  const why = isTold ? 'it was told where to at its network boot' : 'no network boot of ours has told it where to';
  return `never joined; ${why}. Next: read its console: once it has an address, Talos asks ${authority} (TCP)`;
}

function joinedText({ binding, leader, when }: LinkFindings): string {
  const { annotations = {} } = binding.metadata;
  const joined = joinedOf(annotations[JOINED_ANNOTATION]);
  const how = joined ? `joined ${when(joined.at)} ${PROOFS[joined.admitted]}` : 'joined before this was noted';
  const version = annotations[VERSION_ANNOTATION];
  const text = `${how}, at ${binding.spec!.siderolink!.address}${version ? `, Talos ${version}` : ''}`;
  if (annotations[PENDING_ANNOTATION] === undefined) return text;
  return `${text}; it waits to be let in. Next: see the log of the replica that leads${leader ? ` (${leader})` : ': none does now'}`;
}

function linkText({ binding, leader, wireguard, when }: LinkFindings): string {
  const { annotations = {}, name } = binding.metadata;
  const at = annotations[ENDPOINT_ANNOTATION];
  const link = linkStateOf(annotations[LINK_ANNOTATION]);
  const target = `${wireguard}${leader ? `, and behind it ${leader}, which leads` : ''}`;
  const texts: Readonly<Record<LinkState['word'], (since: string) => string>> = {
    up: (since) => `heard since ${since}${at ? `, last at ${at}` : ''}`,
    silent: (since) =>
      `silent, last heard ${since}${at ? ` at ${at}` : ''}. Next: is it on (sidero power status ${name})? Does UDP from it still reach ${target}? It joins anew by itself`,
    unheard: (since) => `never heard since it joined, in place ${since}. Next: let UDP from it reach ${target}; or set transport: 'grpc'`,
  };
  return link ? texts[link.word](when(link.since)) : 'not told yet whether it is heard: the replica that leads looks every 10 s, and gives it 60 s';
}

function keptTexts(found: LinkFindings): readonly string[] {
  const { binding, kept, when } = found;
  const { name } = binding.metadata;
  const id = binding.status?.talosEvent?.id ?? '';
  const second = secondOf(id);
  const changed = id === '' ? [] : [`the last event that changed anything is ${id}${second ? `, ${when(second)} by the machine's clock` : ''}`];
  if (!kept) return [...changed, elsewhereText(found)];
  const text = (what: string, at: Date | undefined, command: string) =>
    `${what}: ${at ? `last one ${when(at)}` : 'none yet'}; sidero ${command} ${name} -f`;
  return [...changed, text('kernel log lines', kept.log, 'logs'), text('events', kept.events, 'events')];
}

// Where there is one sidero and no other, nobody is elected.
function elsewhereText({ binding: { metadata }, dataDir, leader, namespace }: LinkFindings): string {
  const reach = `sidero logs ${metadata.name} --from https://`;
  if (!leader) return `its lines are not in ${dataDir}: the sidero that leads keeps them. Next: give --data-dir as it has it, or ${reach}HOST:8443`;
  return `its lines are kept by the replica that leads (${leader}), not here. Next: ${reachLeader({ leader, namespace })}, then ${reach}localhost:8443`;
}

function eventText({ lastTimestamp, firstTimestamp, count = 1, message = '' }: KubeEvent, { when }: LinkFindings): string {
  return `${when(new Date(lastTimestamp ?? firstTimestamp ?? ''))}${count > 1 ? ` (${count} times)` : ''}: ${message}`;
}
