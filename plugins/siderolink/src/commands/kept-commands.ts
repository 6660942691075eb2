import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import type { Sidero } from '@sidero/core';
import { type LineSelection, readKeptLines } from '../kept/read-kept-lines.ts';
import { failure } from '../errors.ts';
import { type LineOptions, selectionOf } from './line-options.ts';
import { readRemote } from './read-remote.ts';
import { streamPath } from './stream-commands.ts';
import { untilInterrupted } from './until-interrupted.ts';

/** Lines that are kept of each server, and the command that reads them. */
export interface KeptKind {
  /** Of the command, the folder in the data directory, and the route: `logs`. */
  readonly name: 'logs' | 'events';
  /** "kernel log". */
  readonly what: string;
}

/** What can be read of a server. */
export const KEPT_KINDS: readonly KeptKind[] = [
  { name: 'logs', what: 'kernel log' },
  { name: 'events', what: 'events' },
];

/** `sidero logs SERVER` and `sidero events SERVER`: what is kept of a server, and what comes. */
export function addKeptCommands(sidero: Sidero): void {
  for (const kind of KEPT_KINDS) addKeptCommand(sidero, kind);
}

function addKeptCommand({ commands, site, variables }: Sidero, kind: KeptKind): void {
  commands.add({
    name: kind.name,
    define(command) {
      command
        .description(`print the ${kind.what} of a server, JSON lines as the original has them`)
        .argument('<server>')
        .option('-f, --follow', 'go on with what comes')
        .option('--since <time>', 'a duration such as 15m, or a time such as 2026-11-29T19:38:00Z; by when a line came here')
        .option('--boot <n>', '0: the last boot, -1: the one before; 1: the first that is kept')
        .option('--data-dir <folder>', `data directory of the running sidero (default: ${site.dataDir})`)
        .option('--from <url>', 'management listener of a sidero elsewhere, e.g. https://localhost:8443; SIDERO_TOKEN is the Kubernetes token for it')
        .action((name: string, options: LineOptions) => {
          const server = name.toLowerCase();
          const dataDir = resolve(options.dataDir ?? site.dataDir);
          const token = variables['SIDERO_TOKEN'];
          return printLines({ kind, server, dataDir, token, output: process.stdout, notes: process.stderr }, options);
        });
    },
  });
}

/** What is printed, and where to. */
export interface Printing {
  readonly kind: KeptKind;
  readonly server: string;
  readonly dataDir: string;
  readonly token: string | undefined;
  readonly output: Writable;
  /** For what is no line. */
  readonly notes?: Writable;
}

/** @throws SIDERO_LINES_MISSING, SIDERO_LINES_OPTION_INVALID, SIDERO_LINES_UNREADABLE */
export async function printLines({ kind, server, dataDir, token, output, notes }: Printing, options: LineOptions): Promise<void> {
  const selection = selectionOf(options, new Date());
  if (!isServerName(server)) throw failure('SIDERO_LINES_OPTION_INVALID', { option: 'SERVER', value: server, expected: 'the UUID of a server' });
  await untilInterrupted(output, async (signal) => {
    const selected = { ...selection, signal };
    if (options.from !== undefined) return readRemote({ from: options.from, path: `/${kind.name}/${server}`, token }, selected, output);
    const folder = join(dataDir, kind.name, server);
    // Followed from before its first line, it only has to be the right data directory.
    const isThere = existsSync(options.follow ? join(dataDir, 'stream') : folder) || existsSync(folder);
    if (!isThere) throw failure('SIDERO_LINES_MISSING', { server, what: kind.what, where: folder });
    // It is only looked at: what waits for a reader would go to whoever connects.
    if (options.follow && !existsSync(streamPath(dataDir, kind.name)))
      notes?.write(`nothing comes here now: no sidero that leads runs on ${dataDir}; sidero why ${server} tells who leads\n`);
    return printFolder(folder, selected, output);
  });
}

/** Names of Servers; nothing else is looked for in the data directory. */
export function isServerName(text: string): boolean {
  return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text);
}

async function printFolder(folder: string, selection: LineSelection, output: Writable): Promise<void> {
  for await (const lines of readKeptLines(folder, selection))
    if (lines.length > 0 && !output.write(`${lines.join('\n')}\n`)) await once(output, 'drain', selection.signal && { signal: selection.signal });
}
