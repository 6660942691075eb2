import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { leadingHost, type Sidero, SideroError } from '@sidero/core';
import { type LineSelection, readKeptLines } from '../kept/read-kept-lines.ts';
import { failure } from '../errors.ts';
import { isServerName, KEPT_KINDS } from './kept-commands.ts';
import { selectionOf } from './line-options.ts';

type Context = Parameters<Parameters<Sidero['management']['route']>[1]>[0];

/**
 * The same as `sidero logs` and `sidero events` print, on the management listener: `/logs/<uuid>?since=15m&boot=0&follow=true`. A replica that
 * does not lead may have old lines, and gets no new ones: it says who leads.
 */
export function addKeptRoutes({ management, resources, site }: Sidero, leads: () => boolean): void {
  const { namespace } = site;
  for (const { name, what } of KEPT_KINDS) {
    management.route(`/${name}/:server`, async (context) => {
      const server = context.path.split('/').at(-1) ?? '';
      if (!leads()) throw failure('SIDERO_LINES_ELSEWHERE', { server, what, namespace, leader: await leadingHost(resources, namespace) });
      const folder = join(site.dataDir, name, server);
      const selection = selectionIn(context);
      const isFollowed = selection.follow === true;
      if (!isServerName(server) || (!isFollowed && !existsSync(folder)))
        context.throw(404, failure('SIDERO_LINES_MISSING', { server, what, where: 'the data directory of this replica' }).toText());
      context.status = 200;
      context.type = 'text/plain; charset=utf-8';
      context.body = linesFor(context, folder, selection);
    });
  }
}

function selectionIn(context: Context): LineSelection {
  const { since, boot, follow } = context.query;
  const one = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value);
  try {
    const [from, which] = [one(since), one(boot)];
    return selectionOf(
      { follow: one(follow) === 'true', ...(from !== undefined && { since: from }), ...(which !== undefined && { boot: which }) },
      new Date(),
    );
  } catch (thrown) {
    return context.throw(400, thrown instanceof SideroError ? thrown.toText() : '');
  }
}

function linesFor(context: Context, folder: string, selection: LineSelection): Readable {
  const stop = new AbortController();
  context.res.once('close', () => stop.abort());
  // A head at once: who follows a silent machine knows that it is connected.
  context.res.flushHeaders();
  return Readable.from(textIn(folder, { ...selection, signal: stop.signal }));
}

async function* textIn(folder: string, selection: LineSelection): AsyncGenerator<string> {
  for await (const lines of readKeptLines(folder, selection)) if (lines.length > 0) yield `${lines.join('\n')}\n`;
}
