import { type ResourceClient, ServerKind } from '@sidero/core';
import type { KeptLines } from './kept-lines.ts';

/** Removes what is kept of servers that are gone: once in the beginning, and when one goes, until the signal aborts. */
export async function forgetServers(resources: ResourceClient, kept: readonly KeptLines[], signal: AbortSignal): Promise<void> {
  const watching = resources.watch(
    ServerKind,
    ({ type, object }) => {
      if (type === 'removed') for (const lines of kept) void lines.remove(object.metadata.name);
    },
    signal,
  );
  for (const lines of kept) await forgetGone(resources, lines, signal).catch(() => undefined);
  await watching;
}

// Asked for one by one, from the API itself. One that knows no server at all is more likely the wrong one.
async function forgetGone(resources: ResourceClient, lines: KeptLines, signal: AbortSignal): Promise<void> {
  if ((await resources.list(ServerKind, {}, { live: true })).length === 0) return;
  for (const name of await lines.servers()) {
    if (signal.aborted) return;
    const server = await resources.get(ServerKind, { name }, { live: true });
    if (!server) await lines.remove(name);
  }
}
