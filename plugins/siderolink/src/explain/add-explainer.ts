import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EventKind, type KubeEvent, leadingHost, ServerBindingKind, type Sidero, type WhyQuestion } from '@sidero/core';
import { streamPath } from '../commands/stream-commands.ts';
import { hostPort } from '../installation/network.ts';
import { SECRET_REASON, SECRET_REF, TUNNEL_REASON } from '../installation/secret.ts';
import { segmentName, segmentsIn } from '../kept/segment-name.ts';
import type { SideroLinkOptions } from '../plugin.ts';
import { REFUSED_REASON } from '../provision/provision.ts';
import { explainLink, type LinkFindings } from './explain-link.ts';

/** `sidero why SERVER` tells of its SideroLink too. */
export function addExplainer(sidero: Sidero, options: SideroLinkOptions): void {
  sidero.explainers.add({
    name: 'siderolink',
    async explain(question) {
      const found = await findings(sidero, options, question);
      return found ? explainLink(found) : [];
    },
  });
}

/** Undefined: nobody has the server. */
async function findings(
  { resources, site }: Sidero,
  options: SideroLinkOptions,
  { server, events, dataDir, when }: WhyQuestion,
): Promise<LinkFindings | undefined> {
  const { name } = server.metadata;
  const binding = await resources.get(ServerBindingKind, { name }, { live: true });
  if (!binding) return undefined;
  const ofSecret = await resources.list(EventKind, { namespace: SECRET_REF.namespace }, { live: true });
  return {
    binding,
    authority: site.authority,
    wireguard: hostPort(options.endpoint ?? site.endpoint, options.port),
    refused: events.findLast(({ reason }) => reason === REFUSED_REASON),
    troubles: troublesIn(ofSecret),
    kept: isKeptOn(dataDir, name) ? await keptOn(dataDir, name) : undefined,
    dataDir,
    leader: await leadingHost(resources, site.namespace).catch(() => undefined),
    namespace: site.namespace,
    when,
  };
}

// A trouble that is over has an Event of its own.
function troublesIn(events: readonly KubeEvent[]): readonly KubeEvent[] {
  const timeOf = ({ lastTimestamp, firstTimestamp }: KubeEvent) => Date.parse(lastTimestamp ?? firstTimestamp ?? '');
  const about = events
    .filter(({ involvedObject: { kind, name } }) => kind === 'Secret' && name === SECRET_REF.name)
    // Events have whole seconds: of two in one, what was mended is the later.
    .toSorted((a, b) => timeOf(a) - timeOf(b) || Number(a.type === 'Normal') - Number(b.type === 'Normal'));
  const last = [SECRET_REASON, TUNNEL_REASON].map((reason) => about.findLast((event) => event.reason === reason));
  return last.filter((event) => event !== undefined).filter(({ type }) => type === 'Warning');
}

// Who leads has the socket; who led before may still have lines.
function isKeptOn(dataDir: string, name: string): boolean {
  return [streamPath(dataDir, 'logs'), join(dataDir, 'logs', name), join(dataDir, 'events', name)].some((path) => existsSync(path));
}

async function keptOn(dataDir: string, name: string): Promise<LinkFindings['kept']> {
  const [log, events] = await Promise.all(['logs', 'events'].map((kind) => lastWrite(join(dataDir, kind, name))));
  return { log, events };
}

async function lastWrite(folder: string): Promise<Date | undefined> {
  const last = segmentsIn(await readdir(folder).catch(() => [])).at(-1);
  return last && (await stat(join(folder, segmentName(last)))).mtime;
}
