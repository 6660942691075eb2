import { type ResourceClient, ServerKind } from '@sidero/core';
import type { KeptLines } from './kept-lines.ts';

/** Removes what is kept of servers that are gone: once in the beginning, and when one goes, until the signal aborts. */
export async function forgetServers(resources: ResourceClient, kept: readonly KeptLines[], signal: AbortSignal): Promise<void> {
  let sweeping: Promise<void> | undefined;
  const sweep = async (): Promise<void> => {
    for (const lines of kept) await forgetGone(resources, lines, signal);
  };
  await resources.watch(
    ServerKind,
    ({ type, object }) => {
      if (type === 'removed') for (const lines of kept) void lines.remove(object.metadata.name);
      // Not before one is seen: an API that knows no server at all is more likely the wrong one. What failed is tried again with the next change.
      sweeping ??= sweep().catch(() => void (sweeping = undefined));
    },
    signal,
  );
}

async function forgetGone(resources: ResourceClient, lines: KeptLines, signal: AbortSignal): Promise<void> {
  const known = new Set((await resources.list(ServerKind, {}, { live: true })).map(({ metadata }) => metadata.name));
  for (const name of await lines.servers()) {
    if (signal.aborted) return;
    if (known.has(name)) continue;
    const server = await resources.get(ServerKind, { name }, { live: true });
    if (!server) await lines.remove(name);
  }
}
