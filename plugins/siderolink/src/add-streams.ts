import { join } from 'node:path';
import type { Sidero } from '@sidero/core';
import { addKeptCommands } from './commands/kept-commands.ts';
import { addKeptRoutes } from './commands/kept-routes.ts';
import { addStreamCommands, streamPath } from './commands/stream-commands.ts';
import { eventSink } from './events/event-sink.ts';
import type { EventRecord } from './events/publish.ts';
import { forgetServers } from './kept/forget-servers.ts';
import { KeptLines } from './kept/kept-lines.ts';
import type { LinkListener } from './link.ts';
import { kernelLogs, type LogRecord } from './logs/kernel-logs.ts';
import { LiveDirectory } from './machines/live-directory.ts';
import { LineSocket } from './outlets/line-socket.ts';
import type { SideroLinkOptions } from './plugin.ts';

/** Of each server; some thousand events, a few boots. */
const EVENT_BYTES = 1024 * 1024;

/** The places in the tunnel where machines send their kernel logs and events, and everything behind them. */
export function addStreams(sidero: Sidero, options: SideroLinkOptions): readonly LinkListener[] {
  const { log, metrics, resources } = sidero;
  addKeptCommands(sidero);
  addStreamCommands(sidero);
  const directory = addDirectory(sidero);
  const { takeLog, takeEvent, areOpen } = addOutlets(sidero, options);
  addKeptRoutes(sidero, areOpen);
  const given = { directory, resources, log, metrics };
  return [
    kernelLogs({ ...given, port: options.logPort, take: takeLog }),
    eventSink({ ...given, port: options.eventPort, negativeAddressFilter: options.negativeAddressFilter, take: takeEvent }),
  ];
}

function addDirectory({ resources, services }: Sidero): LiveDirectory {
  const directory = new LiveDirectory(resources);
  services.add({
    name: 'siderolink-machines',
    where: 'every',
    async run(signal, ready) {
      ready();
      await directory.run(signal);
    },
  });
  return directory;
}

interface Outlets {
  /** Whether this replica leads, so that lines come here. */
  areOpen(): boolean;
  takeLog(record: LogRecord): Promise<void> | undefined;
  takeEvent(record: EventRecord): Promise<void>;
}

// Where a record goes: to the disk, to the container that prints it, and to every plugin that taps `stream`. None waits for another.
function addOutlets({ lifecycle, log, metrics, resources, services, site }: Sidero, { logBytes }: SideroLinkOptions): Outlets {
  const given = { log, metrics };
  const logs = new KeptLines({ ...given, folder: join(site.dataDir, 'logs'), bytesEach: logBytes, what: 'kernel log' });
  const events = new KeptLines({ ...given, folder: join(site.dataDir, 'events'), bytesEach: EVENT_BYTES, what: 'events', gatherMs: 0 });
  const logSocket = new LineSocket({ ...given, path: streamPath(site.dataDir, 'logs'), what: 'kernel logs' });
  const eventSocket = new LineSocket({ ...given, path: streamPath(site.dataDir, 'events'), what: 'events' });
  let areOpen = false;
  services.add({
    name: 'siderolink-outlets',
    where: 'leader',
    async run(signal, ready) {
      ready();
      areOpen = true;
      signal.addEventListener('abort', () => (areOpen = false), { once: true });
      await Promise.all([logSocket.run(signal), eventSocket.run(signal), forgetServers(resources, [logs, events], signal)]);
      await Promise.all([logs.settled(), events.settled()]);
    },
  });
  return {
    areOpen: () => areOpen,
    takeLog({ machine, line, at }) {
      const behind = machine && logs.add({ uuid: machine.uuid, key: machine.key, line, at });
      logSocket.write(line);
      lifecycle.stream({ type: 'log', ...(machine && { uuid: machine.uuid }), names: machine?.names ?? {}, line, at });
      return behind;
    },
    takeEvent({ machine, event, line, at }) {
      // They are few, and acknowledged once they are on disk.
      void events.add({ uuid: machine.uuid, key: machine.key, line, at });
      eventSocket.write(line);
      lifecycle.stream({ type: 'talos', uuid: machine.uuid, names: machine.names, event, line, at });
      return events.written(machine.uuid);
    },
  };
}
